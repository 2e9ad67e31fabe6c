"""Posting alerts to a URL."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from base64 import b64encode
from http.client import HTTPException
from typing import Any
from urllib.parse import unquote, urlsplit

import dramatiq

from eventsys.broker.broker import EventBroker
from eventsys.errors import EventsysError
from eventsys.settings import AlertSettings
from eventsys.store.keys import SWEEP_QUEUE
from eventsys.store.steps import Step, message_step

#: Tries after the first, 15 s and more apart: half an hour to an hour in all.
_MAX_RETRIES = 8
_FIRST_WAIT_MS, _LONGEST_WAIT_MS = 15_000, 900_000

#: The lane of its messages: they should not wait behind others.
_LANE = 8


class WebhookError(EventsysError):
    """A webhook did not take an alert; its URL is not in here."""


class Webhook:
    """Posts what begins and ends as JSON, by an actor: a message for each, tried again while the other side is away.

    The message is sent by the script that publishes the alert, so there is exactly one; what is posted twice all the
    same, after a lost answer, has the same `id`. Redirects are not followed: nothing goes where nobody meant it to.

    Args:
        broker: Where the actor is declared.
        settings: The URL, which stays in the process's own settings, and how long an answer may take.
    """

    def __init__(self, broker: EventBroker, settings: AlertSettings) -> None:
        self._settings = settings
        self._broker = broker
        declare = dramatiq.actor(
            broker=broker, actor_name="eventsys.alert_webhook", queue_name=SWEEP_QUEUE, max_retries=_MAX_RETRIES,
            min_backoff=_FIRST_WAIT_MS, max_backoff=_LONGEST_WAIT_MS,
        )  # fmt: skip
        self._actor = declare(self.post)

    def step(self, alert: dict[str, Any]) -> Step | None:
        """Return the step that posts an alert, None where there is no URL."""
        if self._settings.webhook_url is None:
            return None
        message = self._actor.message(alert)
        return self._broker.work.sealed(message_step(message.queue_name, _LANE, {"m": message.encode().decode()}))

    def post(self, alert: dict[str, Any]) -> None:
        """Post an alert now.

        Raises:
            WebhookError: If it was not taken; the message comes back later.
        """
        if self._settings.webhook_url is None:
            return  # it was configured where the alert was found, and is not here: nobody to tell
        url = self._settings.webhook_url.get_secret_value()
        bare_url, headers = _without_user(url)
        request = urllib.request.Request(bare_url, json.dumps(alert).encode(), headers)  # noqa: S310 - http and https only
        try:
            with _opener.open(request, timeout=self._settings.webhook_timeout.total_seconds()):
                return
        except urllib.error.HTTPError as error:
            raise WebhookError(f"{masked(url)} answered {error.code} to an alert; it is tried again") from None
        except (OSError, ValueError, HTTPException) as error:
            # Some of these quote the URL; only what is about the connection is passed on.
            reason = getattr(error, "reason", None) or type(error).__name__
            raise WebhookError(f"{masked(url)} did not take an alert ({reason}); it is tried again") from None


def masked(url: str) -> str:
    """Return what may be shown of a URL: where it leads, without user, path and query, where secrets are."""
    parts = urlsplit(url)
    port = f":{parts.port}" if parts.port else ""
    return f"{parts.scheme}://{parts.hostname}{port}/***"


def _without_user(url: str) -> tuple[str, dict[str, str]]:
    """Return a URL without user and password, which urllib cannot read, and the headers of a request, with them."""
    headers = {"Content-Type": "application/json", "User-Agent": "eventsys"}
    parts = urlsplit(url)
    user, at, host = parts.netloc.rpartition("@")
    if not at:
        return url, headers
    headers["Authorization"] = f"Basic {b64encode(unquote(user).encode()).decode()}"
    return parts._replace(netloc=host).geturl(), headers


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        """Follow none: what comes instead of an answer counts as an error."""


_opener = urllib.request.build_opener(_NoRedirects)

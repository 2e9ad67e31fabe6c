"""Opening connections to where a URL says Redis is."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from typing import Any, TypeAlias
from urllib.parse import parse_qs, unquote, urlsplit

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from eventsys.errors import SettingsError

logger = logging.getLogger(__name__)


#: Introduces a new connection, and has Redis answer once.
Greeting: TypeAlias = Callable[[Any], None]


def connection_maker(url: str, greet: Greeting, *, connect_timeout_s: float) -> Callable[[], Any]:
    """Return what opens connections to `url`.

    Args:
        url: `redis://`, `rediss://`, `unix://` or `redis+sentinel://host:port[,host:port]/service[/db]`.
        greet: What introduces each.
        connect_timeout_s: Seconds until an unanswered connect counts as Redis being away; each reply to what a new
            connection says first counts too, since the kernel connects to a Redis that hangs.

    Raises:
        SettingsError: If the URL is of no known kind.
    """
    options: dict[str, Any] = {
        "socket_connect_timeout": connect_timeout_s,
        "socket_timeout": connect_timeout_s,
        "retry": Retry(NoBackoff(), 0),
        "protocol": 2,
        # Two commands a connection less, which an old server or a user of few rights would refuse.
        "driver_info": None,
        "redis_connect_func": greet,
        # The pool only makes connections here, and counts those it ever made: at its default of 100 a process could not
        # connect any more after so many interruptions.
        "max_connections": 2**31,
    }
    if not url.startswith("unix://"):
        options["socket_keepalive"] = True
    try:
        if url.startswith("redis+sentinel://"):
            maker = _sentinel_maker(url, options)
        else:
            _warn_of_blind_trust(url)
            maker = redis.ConnectionPool.from_url(url, **options).make_connection
        maker()  # opens nothing, and finds out about options that there are not
    except (ValueError, TypeError, redis.RedisError):
        # What was found wrong may quote the password, so it is not passed on.
        raise SettingsError(
            "this Redis URL is of no known kind; use redis://host:6379/0, rediss://, unix:///path.sock or"
            " redis+sentinel://host:26379/service, write what is special in a password as %2F and so on, and see that"
            " the options behind the ? are right"
        ) from None
    return maker


def shown_url(url: str) -> str:
    """Return a URL as it may be shown: with asterisks for each password, wherever in it a person may put one.

    It need be no right URL: whatever stands before the last `@` counts as somebody's name and password, as where the
    password has a `/` in it that was to be written as `%2F`.
    """
    scheme, parted, rest = url.partition("://")
    who, at, place = rest.rpartition("@")
    user, colon, _ = who.partition(":")
    if at:
        rest = f"{user}{':***' if colon else ''}@{place}"
    return f"{scheme}{parted}{_OPTION.sub(_shown_option, rest)}"


_OPTION = re.compile(r"(?<=[?&])([^=&#]*)=([^&#]*)")


def _shown_option(found: re.Match[str]) -> str:
    return f"{found[1]}=***" if "password" in unquote(found[1]).lower() else found[0]


_SHOW_ONE = "add ?ssl_certfile=/path/cert.pem&ssl_keyfile=/path/key.pem to the URL"


def told_of_tls(text: str) -> str | None:
    """Return what to tell of an error of TLS, with the next step; None where it is none."""
    if "CERTIFICATE_VERIFY_FAILED" in text:
        why = text.partition("certificate verify failed: ")[2].partition(" (_ssl")[0] or "it cannot be verified"
        return (
            f"the certificate of Redis is not believed: {why}; name the host as its certificate does, and the authority"
            " that signed it with ?ssl_ca_certs=/path/ca.pem in the URL"
        )
    if "CERTIFICATE_REQUIRED" in text or "certificate required" in text:
        return f"Redis asks for a client's certificate; {_SHOW_ONE}"
    if "EOF occurred in violation of protocol" in text:
        return f"Redis ended the TLS connection; if it asks for a client's certificate, {_SHOW_ONE}"
    if "WRONG_VERSION_NUMBER" in text or "record layer failure" in text:
        return "Redis speaks no TLS on this port; use redis:// or another port"
    return None


_SILENT = re.compile(r"\bhost=([^,]*),port=(\d+)")


def told_of_sentinels(text: str) -> str | None:
    """Return what to tell where no sentinel named a master; None for another error.

    The client shows each sentinel that is silent as all the objects it is made of.
    """
    head, _, silent = text.partition(" : ")
    if not head.startswith("No master found for "):
        return None
    told = f"no sentinel names a master {head.removeprefix('No master found for ')} that is up"
    addresses = ", ".join(f"{host}:{port}" for host, port in _SILENT.findall(silent))
    return f"{told}; no answer from {addresses}" if addresses else told


def _warn_of_blind_trust(url: str) -> None:
    asked = parse_qs(urlsplit(url).query)
    is_blind = asked.get("ssl_cert_reqs", ["required"])[-1].lower() != "required"
    if is_blind or asked.get("ssl_check_hostname", ["true"])[-1].lower() in {"false", "0", "no", "f", "n"}:
        logger.warning(
            "the Redis URL switches off checks of the server's certificate, so whoever answers there is believed;"
            " name its authority with ssl_ca_certs instead",
            extra={"action": "tls_unverified"},
        )


def greet(connection: Any) -> None:
    """Introduce a new connection, and have Redis answer once: the kernel connects to a Redis that hangs, too."""
    connection.on_connect()
    connection.send_command("PING")
    connection.read_response()


def _sentinel_maker(url: str, options: dict[str, Any]) -> Callable[[], Any]:
    hosts, _, path = url.removeprefix("redis+sentinel://").partition("/")
    credentials, _, hosts = hosts.rpartition("@")
    service, _, database = path.partition("/")
    if not hosts or not service:
        raise ValueError("redis+sentinel:// needs hosts and a service name")
    user, password = map(unquote, credentials.partition(":")[::2])
    sentinels = [(host.partition(":")[0], int(host.partition(":")[2] or 26379)) for host in hosts.split(",")]
    known: Any = redis.Sentinel(
        sentinels, sentinel_kwargs={"socket_timeout": options["socket_connect_timeout"], "retry": options["retry"]}
    )
    more = {"db": int(database or 0), **({"username": user or None, "password": password} if password else {})}
    client = known.master_for(service, **options, **more)
    maker: Callable[[], Any] = client.connection_pool.make_connection
    return maker

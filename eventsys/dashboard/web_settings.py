"""What can be configured for `eventsys web`: the environment, and files for what is secret."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from eventsys.dashboard.access import Access, is_local
from eventsys.errors import SettingsError
from eventsys.model.misfits import misfits

_LOOPBACK_NAMES = frozenset({"localhost", "::1"})


class WebSettings(BaseSettings):
    """Each field is an environment variable: `EVENTSYS_WEB_TOKEN` and so on."""

    model_config = SettingsConfigDict(env_prefix="EVENTSYS_WEB_", frozen=True, extra="ignore", env_ignore_empty=True)

    token: SecretStr | None = None
    """Lets operators in, who may look and change."""
    token_file: Path | None = None
    """A file that holds it instead."""
    viewer_token: SecretStr | None = None
    """Lets viewers in, who may look."""
    viewer_token_file: Path | None = None
    """A file that holds it instead."""

    def access(self, *, read_only: bool = False) -> Access:
        """Return the policy that these settings make.

        Raises:
            SettingsError: If a file cannot be read, a token is given twice, or it will not do.
        """
        return Access(
            token=_one_of("token", self.token, self.token_file),
            viewer_token=_one_of("viewer_token", self.viewer_token, self.viewer_token_file),
            read_only=read_only,
        )


def load_web_settings(**given: Any) -> WebSettings:
    """Return the settings made of `given` and the environment.

    Raises:
        SettingsError: If a value cannot be.
    """
    try:
        return WebSettings(**given)
    except ValidationError as error:
        raise SettingsError(f"these settings of EVENTSYS_WEB_* do not fit: {misfits(error)}") from error


def refuse_open_door(host: str, access: Access) -> None:
    """Refuse to listen where other machines can reach it without a token.

    Raises:
        SettingsError: If that would be so.
    """
    if not access.needs_token and host not in _LOOPBACK_NAMES and not is_local(host):
        raise SettingsError(
            f"{host!r} can be reached from other machines, and no token is set; set EVENTSYS_WEB_TOKEN or"
            " EVENTSYS_WEB_TOKEN_FILE (openssl rand -hex 24 makes one), or listen on 127.0.0.1"
        )


def _one_of(name: str, token: SecretStr | None, path: Path | None) -> SecretStr | None:
    if path is None:
        return token
    variable = f"EVENTSYS_WEB_{name.upper()}"
    if token is not None:
        raise SettingsError(f"{variable} and {variable}_FILE are both set; keep one of them")
    try:
        return SecretStr(path.read_text().strip())
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{variable}_FILE names {str(path)!r}, which cannot be read: {error}") from error

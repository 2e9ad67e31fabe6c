"""Secret keys as settings name them: the first is used from now on, the others are still believed."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

from pydantic import SecretStr

#: A shorter secret could be guessed.
SHORTEST_SECRET = 16

_NAME = re.compile(r"[A-Za-z0-9_-]{1,32}")
_BETWEEN = re.compile(r"[,\s]+")


class SecretKey(NamedTuple):
    """A secret with its name, which is stored beside whatever was made with it."""

    name: str
    secret: bytes

    def __repr__(self) -> str:
        """Show the name only."""
        return f"SecretKey({self.name!r})"


def read_keys(text: str) -> list[SecretKey]:
    """Return the keys that a setting or a file lists as `name:secret`, parted by commas or white space.

    Raises:
        ValueError: If a key cannot be; the sentence says which one, and never its secret.
    """
    keys: list[SecretKey] = []
    for at, part in enumerate(filter(None, _BETWEEN.split(text)), start=1):
        name, colon, secret = part.partition(":")
        if not colon or not _NAME.fullmatch(name):
            raise ValueError(
                f"key {at} is not of the form name:secret, with a name of at most 32 letters, digits, - and _"
            )
        if len(secret) < SHORTEST_SECRET:
            raise ValueError(
                f"the secret of key {name!r} has {len(secret)} characters, and must have at least {SHORTEST_SECRET}; "
                "make one with: openssl rand -hex 32"
            )
        if name in {key.name for key in keys}:
            raise ValueError(f"two keys are named {name!r}; each needs a name of its own")
        keys.append(SecretKey(name, secret.encode()))
    return keys


def keys_of(given: SecretStr | None, path: Path | None) -> list[SecretKey]:
    """Return the keys of a setting, then those of its file.

    Raises:
        ValueError: If a key cannot be.
        OSError: If the file cannot be read.
    """
    listed = "" if given is None else given.get_secret_value()
    kept = "" if path is None else path.read_text(encoding="utf-8")
    return read_keys(f"{listed}\n{kept}")

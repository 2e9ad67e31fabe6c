"""Encryption of payloads where they are stored, with keys that may be changed.

What a process can read is decided by all the keys it was given, whichever of its services was given them: the stored
form names the key, and only the right one opens it.
"""

from __future__ import annotations

import os
import weakref
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from typing import Any

from eventsys.errors import PayloadEncryptedError, SettingsError
from eventsys.model.keyring import SecretKey

#: Bytes of the number that is used once for each payload; AES-GCM wants 12.
_NONCE = 12


class Cipher:
    """Encrypts with the first of some keys, and decrypts with all of them: AES-256-GCM.

    A payload belongs to its event: under another id or type it cannot be opened.

    Args:
        keys: The keys, at least one.

    Raises:
        SettingsError: If the package `cryptography` is not installed.
    """

    def __init__(self, keys: Sequence[SecretKey]) -> None:
        try:
            from cryptography.hazmat.primitives.ciphers.aead import AESGCM
            from cryptography.hazmat.primitives.hashes import SHA256
            from cryptography.hazmat.primitives.kdf.hkdf import HKDF
        except ImportError as error:
            raise SettingsError(
                "encryption_keys needs the package cryptography; install it with: pip install 'eventsys[crypto]'"
            ) from error

        def derived(secret: bytes) -> Any:
            return AESGCM(HKDF(algorithm=SHA256(), length=32, salt=None, info=b"eventsys 1 payload").derive(secret))

        self._first = keys[0].name
        self._keys = {key.name: derived(key.secret) for key in keys}

    def lend(self) -> Cipher:
        """Let this process read what these keys open, as long as the cipher lives; return it."""
        _given.add(self)
        return self

    def encrypted(self, payload: bytes, event_id: str, event_type: str) -> tuple[str, str]:
        """Return the name of the key, and the payload as base64 that only this key opens."""
        nonce = os.urandom(_NONCE)
        sealed = self._keys[self._first].encrypt(nonce, payload, _bound_to(event_id, event_type))
        return self._first, urlsafe_b64encode(nonce + sealed).decode()

    def opened(self, name: str, data: bytes, event_id: str, event_type: str) -> bytes | None:
        """Return a payload that was encrypted; None where the key is not among these, or does not open it."""
        from cryptography.exceptions import InvalidTag

        key = self._keys.get(name)
        if key is None:
            return None
        try:
            opened: bytes = key.decrypt(data[:_NONCE], data[_NONCE:], _bound_to(event_id, event_type))
        except (InvalidTag, ValueError):
            return None
        return opened


_given: weakref.WeakSet[Cipher] = weakref.WeakSet()


def decrypted(name: str, text: str, event_id: str, event_type: str) -> bytes:
    """Return the payload of an event that is stored encrypted, with whichever key of this process opens it.

    Raises:
        PayloadEncryptedError: If none does.
    """
    try:
        data = urlsafe_b64decode(text)
    except ValueError as error:
        raise PayloadEncryptedError(f"the encrypted payload of event {event_id} is damaged") from error
    for cipher in list(_given):
        opened = cipher.opened(name, data, event_id, event_type)
        if opened is not None:
            return opened
    raise PayloadEncryptedError(
        f"the payload of event {event_id} ({event_type}) is encrypted with the key {name!r}, and no key of this process"
        " opens it; list it in encryption_keys"
    )


def _bound_to(event_id: str, event_type: str) -> bytes:
    return f"{event_id}\0{event_type}".encode()

"""Which names this server answers to, and which pages may send it something."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from urllib.parse import urlsplit

LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "[::1]"})

_HOST = re.compile(r"(?P<name>\[[0-9a-f:.%]+\]|[a-z0-9._-]+)(?::[0-9]{1,5})?", re.ASCII)
_OWN_SITES = frozenset({b"same-origin", b"none"})


def allowed_names(more: Iterable[str] = ()) -> frozenset[str]:
    """Return the names that a `Host` header may have: this machine's own, and some more.

    A page of another site that has its own name lead here (DNS rebinding) is told apart by that name.
    """
    return LOOPBACK_NAMES | {_written(name) for name in more}


def is_allowed(hosts: Sequence[bytes], names: frozenset[str]) -> bool:
    """Say whether a request names exactly one host, and one of these."""
    if len(hosts) != 1:
        return False
    found = _HOST.fullmatch(hosts[0].decode("latin-1").lower())
    return found is not None and found["name"] in names


def is_own_page(origins: Sequence[bytes], sites: Sequence[bytes], host: bytes) -> bool:
    """Say whether a change comes from a page of this server, or from no browser at all.

    Browsers say with every change which page sends it (`Origin`), and newer ones how that page relates to this server
    (`Sec-Fetch-Site`). Either one that speaks of another server is enough to refuse.

    Args:
        origins: What all `Origin` headers say.
        sites: What all `Sec-Fetch-Site` headers say.
        host: What the `Host` header says.
    """
    if len(origins) > 1 or any(site.lower() not in _OWN_SITES for site in sites):
        return False
    if not origins:
        return True
    try:
        parts = urlsplit(origins[0].decode("latin-1"))
    except ValueError:
        return False
    # Behind a proxy that speaks TLS the schemes differ, so only name and port are compared.
    return parts.scheme in {"http", "https"} and parts.netloc.lower() == host.decode("latin-1").lower()


def _written(name: str) -> str:
    name = name.strip().lower()
    return f"[{name}]" if ":" in name and not name.startswith("[") else name

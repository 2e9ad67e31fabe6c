"""An environment of its own for each peer, under `build/peers/`, made when it is first needed and kept."""

from __future__ import annotations

import json
import subprocess
import sys
import venv
from pathlib import Path

from benchmarks.compare.peers import FOLDER, Peer

#: Where environments are kept; git ignores `build/`.
BUILD = Path("build/peers")

_INSTALL_SECONDS = 600
_STAMP = "installed.txt"
_VERSIONS = (
    "import importlib.metadata as m, json; "
    "print(json.dumps({d.metadata['Name'].lower(): d.version for d in m.distributions()}))"
)


class InstallError(Exception):
    """The peer's packages could not be installed; says why."""


def prepare(peer: Peer, *, again: bool) -> None:
    """Install a peer's newest packages, unless they are there.

    Args:
        peer: Whose.
        again: Install what is newest today in any case.

    Raises:
        InstallError: If the installer failed.
    """
    folder, wanted = BUILD / peer.name, "\n".join(peer.packages)
    stamp = folder / _STAMP
    if not peer.packages or (not again and stamp.exists() and stamp.read_text() == wanted):
        return
    folder.mkdir(parents=True, exist_ok=True)
    try:
        if peer.is_javascript:
            command = ["npm", "install", "--no-audit", "--no-fund", "--prefix", str(folder), *peer.packages]
        else:
            # Anew: an upgrade in place would keep what the newest no longer needs.
            venv.create(folder, with_pip=True, symlinks=True, clear=True)
            command = [str(folder / "bin/python"), "-m", "pip", "install", "-q", "--upgrade", *peer.packages]
        done = subprocess.run(command, capture_output=True, text=True, timeout=_INSTALL_SECONDS, check=False)
    except (OSError, subprocess.SubprocessError) as error:
        raise InstallError(str(error)) from error
    if done.returncode:
        last = (done.stderr.strip() or done.stdout.strip() or "no output").splitlines()[-1]
        raise InstallError(f"{command[0]} ended with {done.returncode}: {last}")
    stamp.write_text(wanted)


def program(peer: Peer) -> list[str]:
    """Return the command that runs a peer's program in its environment."""
    if peer.is_javascript:
        return [str(BUILD / peer.name / "node_modules/.bin/node"), str(FOLDER / peer.program)]
    # Not resolved: what the link in a virtual environment points to is outside of it.
    python = Path.cwd() / BUILD / peer.name / "bin/python" if peer.packages else Path(sys.executable)
    return [str(python), "-m", "benchmarks.peers", Path(peer.program).stem]


def environment(peer: Peer) -> dict[str, str]:
    """Return what a peer's program needs besides."""
    return {"PEER_MODULES": str((BUILD / peer.name / "node_modules").resolve())} if peer.is_javascript else {}


def versions(peer: Peer) -> dict[str, str]:
    """Return the versions of a peer's packages that are installed, by name."""
    names = {package.split("[")[0] for package in peer.packages} or {"eventsys", "dramatiq", "hiredis"}
    installed = packages(peer)
    return {name: installed[name] for name in sorted(names | {"redis"}) if name in installed}


def packages(peer: Peer) -> dict[str, str]:
    """Return everything that is installed for a peer, by name: what its own packages asked for too."""
    if peer.is_javascript:
        manifests = sorted((BUILD / peer.name / "node_modules").glob("**/package.json"))
        read = [json.loads(manifest.read_text()) for manifest in manifests]
        return {one["name"]: one["version"] for one in read if "name" in one and "version" in one}
    asked = subprocess.run([program(peer)[0], "-c", _VERSIONS], capture_output=True, text=True, check=True)
    installed: dict[str, str] = json.loads(asked.stdout)
    return dict(sorted(installed.items()))

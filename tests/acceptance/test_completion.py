"""Completion in the shells themselves: what Tab offers, with the script that `--show-completion` prints."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pexpect
import pytest

from tests.quality.tree import ROOT

ENVIRON = {
    **{name: value for name, value in os.environ.items() if not name.startswith(("EVENTSYS_", "_EVENTSYS"))},
    "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    "PYTHONPATH": str(ROOT),
    "TERM": "dumb",
}

#: What is typed, and what is offered then, among others.
OFFERED = [
    ("eventsys del", {"delayed"}),
    ("eventsys events ", {"ls", "show", "publish", "trace", "tail", "export", "replay"}),
    ("eventsys events ls --st", {"--status"}),
    ("eventsys events ls --status ", {"pending", "delivered", "failed", "expired", "cancelled"}),
    ("eventsys metrics --by ", {"type", "subscription"}),
]


def needs(shell: str) -> str:
    """Return the path of a shell; without it the test is skipped."""
    found = shutil.which(shell)
    if found is None:
        pytest.skip(f"{shell} is not installed here")
    return found


def said_by(*command: str, directory: Path) -> str:
    done = subprocess.run(
        command, env={**ENVIRON, "HOME": str(directory)}, cwd=directory, capture_output=True, text=True, check=True,
        timeout=110,
    )  # fmt: skip
    return done.stdout


@pytest.mark.parametrize(("typed", "offered"), OFFERED)
def test_bash_completes(tmp_path: Path, typed: str, offered: set[str]) -> None:
    words = typed.split(" ")
    script = f"""
        source <(eventsys --show-completion bash)
        complete -p eventsys >/dev/null || exit 1
        COMP_WORDS=({" ".join(repr(word) for word in words)}); COMP_CWORD={len(words) - 1}
        _eventsys_completion eventsys
        printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    assert offered <= set(said_by(needs("bash"), "-c", script, directory=tmp_path).split())


@pytest.mark.parametrize(("typed", "offered"), OFFERED)
def test_fish_completes_and_explains(tmp_path: Path, typed: str, offered: set[str]) -> None:
    script = f"eventsys --show-completion fish | source; complete -C {typed!r}"
    lines = said_by(needs("fish"), "-c", script, directory=tmp_path).splitlines()
    found = dict(line.partition("\t")[::2] for line in lines)
    assert offered <= set(found)
    if typed == "eventsys del":
        assert found["delayed"].startswith("Delayed events and retries")


@pytest.mark.parametrize(("typed", "offered"), OFFERED)
def test_zsh_completes(tmp_path: Path, typed: str, offered: set[str]) -> None:
    shell = pexpect.spawn(
        needs("zsh"), ["-f", "-i"], env={**ENVIRON, "HOME": str(tmp_path), "PS1": "ready> "}, cwd=str(tmp_path),
        encoding="utf-8", timeout=180, dimensions=(60, 160),
    )  # fmt: skip
    try:
        shell.sendline(
            "autoload -Uz compinit && compinit -u -D && unsetopt zle_bracketed_paste LIST_BEEP; echo is''ready"
        )
        shell.expect_exact("isready")
        shell.sendline("eval \"$(eventsys --show-completion zsh)\"; setopt NO_ALWAYS_LAST_PROMPT; echo has''script")
        shell.expect_exact("hasscript")
        shell.send(f"{typed}\t\t")
        for word in sorted(offered, key=len, reverse=True)[:1]:
            shell.expect_exact(word)
    finally:
        shell.close(force=True)


def test_completion_is_as_quick_as_help(tmp_path: Path) -> None:
    """It loads nothing that only running a command needs; pydantic is what typer itself reads words with."""
    environ = {**ENVIRON, "COMP_WORDS": "eventsys del", "COMP_CWORD": "1", "_EVENTSYS_COMPLETE": "complete_bash"}
    program = (
        "import sys\n"
        "sys.argv = ['eventsys']\n"
        "from eventsys.cli.app import main\n"
        "try: main()\n"
        "finally: print([one for one in ('redis', 'dramatiq', 'msgspec', 'watchdog') if one in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", program], env=environ, capture_output=True, text=True, timeout=110)
    assert done.stdout == "delayed\n[]\n", done.stderr

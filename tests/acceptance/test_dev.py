"""`eventsys dev`, as somebody sits before it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from typer.testing import CliRunner

from eventsys.cli.commands import app
from tests.acceptance.processes import wait_for
from tests.acceptance.terminal import Terminal
from tests.quality.tree import ROOT
from tests.support.ports import free_port

#: Seconds that ending may take: 3 are promised on a machine that has time. A worker gives its handlers 27.
ENDS_WITHIN_S = 25.0


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """A new application `shop`."""
    made = tmp_path / "application"
    assert CliRunner().invoke(app, ["new", str(made), "--package", "shop"]).exit_code == 0
    return made


@pytest.fixture
def dev(directory: Path) -> Iterator[Callable[..., Terminal]]:
    """Start `eventsys dev shop` in a terminal."""
    running: list[Terminal] = []

    def start(*options: str) -> Terminal:
        running.append(Terminal("-m", "eventsys", "dev", "shop", *options, directory=directory))
        return running[-1]

    yield start
    for terminal in running:
        terminal.kill()


def publish(directory: Path, event_type: str, payload: str = "{}") -> None:
    """Publish from a second terminal."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("EVENTSYS_", "REDIS_URL"))}
    command = [sys.executable, "-m", "eventsys", "publish", event_type, payload]
    environ = {**kept, "PYTHONPATH": str(ROOT)}
    subprocess.run(command, cwd=directory, env=environ, check=True, capture_output=True)


def edit(directory: Path, old: str, new: str) -> None:
    path = directory / "shop" / "orders.py"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


ORDER = '{"order_id": "7", "customer": "Ada", "amount": 12.5}'


def assert_ctrl_c_ends_all(terminal: Terminal) -> None:
    began = time.monotonic()
    terminal.press_ctrl_c()
    assert terminal.end() is not None
    assert time.monotonic() - began < ENDS_WITHIN_S
    wait_for(lambda: not terminal.left_processes(), f"the end of {terminal.left_processes()}")


@pytest.mark.parametrize("options", [[], ["--poll"]], ids=["told by the kernel", "polling"])
def test_an_edit_takes_effect_while_it_runs_and_ctrl_c_ends_everything(
    dev: Callable[..., Terminal], directory: Path, options: list[str]
) -> None:
    terminal = dev(*options)
    terminal.sees("handlers of shop; Redis embedded")
    terminal.sees("process")
    publish(directory, "order.paid", ORDER)
    terminal.sees("order 7: 12.50 paid by Ada")
    terminal.sees("order.paid → orders.follow_up")
    edit(directory, "paid by %s", "came from %s")
    terminal.sees("loaded shop.orders again in")
    publish(directory, "order.paid", ORDER)
    terminal.sees("order 7: 12.50 came from Ada")
    edit(directory, "logger.info(", "logger.info((")
    terminal.sees("the old code goes on")
    terminal.sees("SyntaxError")
    publish(directory, "order.paid", ORDER)
    terminal.sees("came from Ada")
    edit(directory, "logger.info((", "logger.info(")
    edit(directory, 'name="orders.ask"', 'name="orders.inquire"')
    terminal.sees("added: orders.inquire; removed, and unhosted here: orders.ask")
    assert_ctrl_c_ends_all(terminal)


def test_closing_the_terminal_ends_everything(dev: Callable[..., Terminal], directory: Path) -> None:
    """Redis too, which no terminal hangs up on."""
    terminal = dev()
    publish(directory, "order.paid", ORDER)
    terminal.sees("order 7: 12.50 paid by Ada")
    terminal.close_window()
    wait_for(lambda: not terminal.left_processes(), f"the end of {terminal.left_processes()}")


def test_ctrl_c_does_not_wait_for_a_handler_that_goes_on_and_on(dev: Callable[..., Terminal], directory: Path) -> None:
    edit(directory, "    order = event.payload\n", "    import time\n    print('begun')\n    time.sleep(200)\n")
    terminal = dev()
    publish(directory, "order.paid", ORDER)
    terminal.sees("begun")
    assert_ctrl_c_ends_all(terminal)


def test_an_application_that_cannot_be_loaded_starts_when_it_is_mended(
    dev: Callable[..., Terminal], directory: Path
) -> None:
    """Also in a module beside its own."""
    models = directory / "shared" / "models.py"
    models.parent.mkdir()
    models.write_text("import pydantik\n")
    edit(directory, "from pydantic import", "import shared.models\nfrom pydantic import")
    terminal = dev()
    terminal.sees("the application cannot be loaded")
    terminal.sees("No module named 'pydantik'")
    models.write_text("print('it is mended')\n")
    terminal.sees("it is mended")
    publish(directory, "order.paid", ORDER)
    terminal.sees("order 7: 12.50 paid by Ada")
    assert_ctrl_c_ends_all(terminal)


def test_an_application_that_cannot_be_loaded_is_ended_by_ctrl_c(dev: Callable[..., Terminal], directory: Path) -> None:
    edit(directory, "from pydantic import", "from pydantik import")
    terminal = dev()
    terminal.sees("No module named 'pydantik'")
    assert_ctrl_c_ends_all(terminal)


def test_without_reloading_an_edit_has_no_effect(dev: Callable[..., Terminal], directory: Path) -> None:
    terminal = dev("--no-reload")
    publish(directory, "order.paid", ORDER)
    terminal.sees("order 7: 12.50 paid by Ada")
    edit(directory, "paid by %s", "came from %s")
    publish(directory, "order.paid", ORDER)
    terminal.sees("order 7: 12.50 paid by Ada")
    assert_ctrl_c_ends_all(terminal)


def test_an_error_is_shown_with_the_frames_of_the_application_only(
    dev: Callable[..., Terminal], directory: Path
) -> None:
    edit(directory, "    order = event.payload\n", "    raise ValueError('no \\x1b[2J order')\n")
    terminal = dev()
    publish(directory, "order.paid", ORDER)
    terminal.sees("failed, and is tried again")
    terminal.sees("ValueError: no \\x1b[2J order")
    trace = terminal.read_since()
    assert "orders.py" in trace
    assert "eventsys/broker" not in trace
    assert_ctrl_c_ends_all(terminal)


def page(port: int, path: str) -> str:
    """Return a page of the dashboard, empty while it cannot be had."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/{path}", timeout=5) as answer:
            return str(answer.read().decode())
    except OSError:
        return ""


def test_the_dashboard_knows_what_is_saved_and_does_not_hold_up_ctrl_c(
    dev: Callable[..., Terminal], directory: Path
) -> None:
    port = free_port()
    terminal = dev("--port", str(port))
    terminal.sees(f"dashboard: http://127.0.0.1:{port}/")
    wait_for(lambda: "order.paid" in page(port, "types"), "the page of the types")
    edit(directory, '"order.paid"', '"order.settled"')
    terminal.sees("loaded shop.orders again in")
    wait_for(lambda: "order.settled" in page(port, "types"), "the new type")
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/live", timeout=60) as stream:
        assert stream.readline() == b"event: figures\n"
        assert_ctrl_c_ends_all(terminal)
    assert "Traceback" not in terminal.read_since()


def test_one_process_serves_the_dashboard_and_another_when_that_is_gone(
    dev: Callable[..., Terminal], directory: Path
) -> None:
    port = free_port()
    terminal = dev("--port", str(port), "--processes", "2")
    wait_for(lambda: "order.paid" in page(port, "types"), "the page of the types")
    [serving] = serving_processes(terminal)
    os.kill(serving, signal.SIGKILL)
    terminal.sees("ended with signal SIGKILL and is replaced")
    wait_for(lambda: "order.paid" in page(port, "types"), "the page of the types, by another process")
    [other] = serving_processes(terminal)
    assert other != serving
    assert_ctrl_c_ends_all(terminal)


def serving_processes(terminal: Terminal) -> list[int]:
    serving = []
    for pid in terminal.left_processes():
        with suppress(OSError):  # it has ended meanwhile
            if b"eventsys.dashboard.beside_worker" in Path(f"/proc/{pid}/cmdline").read_bytes():
                serving.append(pid)
    return serving


def test_a_port_that_is_taken_is_told_before_anything_starts(directory: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        terminal = Terminal("-m", "eventsys", "dev", "shop", "--port", str(port), directory=directory)
        terminal.sees(f"error: cannot listen on 127.0.0.1, port {port}: something else listens there; give another")
        assert terminal.end() == 1


def test_every_process_of_a_worker_that_reloads_takes_an_edit_over(directory: Path) -> None:
    terminal = Terminal("-m", "eventsys", "worker", "shop", "--processes", "2", "--reload", directory=directory)
    try:
        terminal.sees("Event loop is running")
        terminal.sees("Event loop is running")
        edit(directory, "paid by %s", "came from %s")
        terminal.sees("loaded shop.orders again in")
        terminal.sees("loaded shop.orders again in")
        assert_ctrl_c_ends_all(terminal)
    finally:
        terminal.kill()

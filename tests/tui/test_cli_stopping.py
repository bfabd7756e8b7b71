"""`jackfield ask` is stopped: at once, in good order, by signals and by readers that have had enough."""

from __future__ import annotations

import json
import os
import signal
import struct
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.tui.cli_harness import COMMAND, LIMIT_S, Shell, new_shell, wait_until

posix = pytest.mark.skipif(sys.platform == "win32", reason="signals and pipes are different there")


@pytest.fixture
def acme(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Shell:
    """A home where the provider of the tests is on."""
    shell = new_shell(tmp_path / "home", tmp_path_factory)
    shell.switch_on("acme")
    return shell


def first_line(process: subprocess.Popen[bytes]) -> bytes:
    assert process.stdout is not None
    return process.stdout.readline()


def ended(process: subprocess.Popen[bytes]) -> tuple[int, bytes, bytes]:
    out, err = process.communicate(timeout=LIMIT_S)
    return process.returncode, out, err


@posix
@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
)
def test_a_signal_stops_the_model_and_what_came_stands(acme: Shell, number: int, code: int) -> None:
    with acme.start("ask", "-m", "acme/slow", "Hi") as process:
        assert first_line(process) == b"first\n"
        process.send_signal(number)
        assert ended(process) == (code, b"half\n", b"")
    assert acme.notes == ["loaded", "stream closed", "provider closed"]


@posix
def test_json_ends_with_cancelled_when_it_is_stopped(acme: Shell) -> None:
    with acme.start("ask", "--json", "-m", "acme/slow", "Hi") as process:
        first_line(process)
        process.send_signal(signal.SIGINT)
        code, out, _ = ended(process)
    assert code == 130
    assert json.loads(out.splitlines()[-1])["kind"] == "cancelled"


@posix
def test_no_child_process_of_a_provider_outlives_the_command(acme: Shell) -> None:
    with acme.start("ask", "-m", "acme/child", "Hi") as process:
        first_line(process)
        process.send_signal(signal.SIGTERM)
        assert ended(process)[0] == 143
    child = int(acme.notes[1].removeprefix("child "))
    with pytest.raises(ProcessLookupError):
        os.kill(child, 0)


@posix
def test_a_provider_that_will_not_stop_is_closed_and_left(acme: Shell) -> None:
    with acme.start("ask", "-m", "acme/stubborn", "Hi") as process:
        first_line(process)
        process.send_signal(signal.SIGTERM)
        assert ended(process) == (143, b"", b"")
    assert "provider closed" in acme.notes


@posix
def test_a_second_ctrl_c_ends_even_a_provider_that_will_not_stop(acme: Shell) -> None:
    with acme.start("ask", "-m", "acme/stubborn", "Hi") as process:
        first_line(process)
        process.send_signal(signal.SIGINT)
        wait_until(lambda: "would not stop" in acme.notes, "the provider was told to stop")
        started = time.monotonic()
        process.send_signal(signal.SIGINT)
        assert ended(process)[0] == 130
    assert time.monotonic() - started < 5


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells which signals a process minds")
def test_a_signal_while_standard_input_is_read_shows_no_traceback(acme: Shell) -> None:
    process = subprocess.Popen(
        [*COMMAND, "ask", "-m", "acme/echo"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=acme.environment(),
    )
    with process:
        wait_until(lambda: minds_sigterm(process.pid), "the command minds signals")
        process.send_signal(signal.SIGTERM)
        assert process.wait(LIMIT_S) == 143
        assert process.stderr is not None
        assert process.stderr.read() == b""


def minds_sigterm(process: int) -> bool:
    """Whether a process has a handler of its own for SIGTERM, as Linux tells."""
    status = Path(f"/proc/{process}/status").read_text(encoding="ascii")
    caught = next(line for line in status.splitlines() if line.startswith("SigCgt"))
    return bool(int(caught.split()[1], 16) >> (signal.SIGTERM - 1) & 1)


@posix
def test_a_reader_that_stops_reading_ends_the_answer_quietly(acme: Shell) -> None:
    with acme.start("ask", "-m", "acme/flood", "Hi") as process:
        assert first_line(process) == b"all work and no play\n"
        assert process.stdout is not None
        process.stdout.close()
        assert process.wait(LIMIT_S) == 141
        assert process.stderr is not None
        assert process.stderr.read() == b""
    assert acme.notes[-2:] == ["stream closed", "provider closed"]


@posix
@pytest.mark.parametrize("arguments", [["plugins", "list"], ["models"], ["--help"]])
def test_other_commands_end_quietly_too_when_nobody_reads(acme: Shell, arguments: list[str]) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [*COMMAND, *arguments],
        stdin=subprocess.DEVNULL,
        stdout=writing,
        stderr=subprocess.PIPE,
        env=acme.environment(),
        timeout=LIMIT_S,
        check=False,
    )
    os.close(writing)
    assert (done.returncode, done.stderr) == (141, b"")


@posix
def test_ctrl_c_works_while_the_reader_has_stalled(acme: Shell) -> None:
    with acme.start("ask", "-m", "acme/flood", "Hi") as process:
        assert process.stdout is not None
        pipe = process.stdout.fileno()
        wait_until(lambda: waiting_in(pipe) >= 60_000, "the pipe is full")
        process.send_signal(signal.SIGINT)
        assert process.wait(LIMIT_S) == 130


def waiting_in(pipe: int) -> int:
    """The bytes that wait in a pipe."""
    import fcntl
    import termios

    count: int = struct.unpack("i", fcntl.ioctl(pipe, termios.FIONREAD, b"\0" * 4))[0]
    return count

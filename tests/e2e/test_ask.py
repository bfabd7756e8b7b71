"""`jackfield ask` with the embedded model, as scripts use it."""

from __future__ import annotations

import json
import os
import signal
import subprocess

import pytest

from tests.e2e.homes import LIMIT_S, Home, wait_until_gone
from tests.processes import processes_under
from tests.tui.cli_harness import COMMAND

DIFF = b"""diff --git a/greet.py b/greet.py
--- a/greet.py
+++ b/greet.py
@@ -1,2 +1,2 @@
 def greet(name):
-    print("Helo", name)
+    print("Hello", name)
"""


def run(home: Home, *arguments: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [*COMMAND, "ask", *arguments],
        input=stdin,
        capture_output=True,
        env={**os.environ, **home.environment},
        timeout=LIMIT_S,
        check=False,
    )


def start(home: Home, *arguments: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [*COMMAND, "ask", *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**os.environ, **home.environment},
        bufsize=0,
    )


def test_a_question_in_a_pipe_is_answered_with_plain_text(model_home: Home) -> None:
    done = run(model_home, "Hello! Who are you?", "--no-progress")
    # how long the answer of so small a model gets is chance; that it was cut short is all that may be said
    cut = b"The answer ends here because the model reached its limit.\n"
    assert (done.returncode, done.stderr.removesuffix(cut)) == (0, b"")
    assert len(done.stdout.split()) >= 3
    assert done.stdout.endswith(b"\n")
    assert b"\x1b" not in done.stdout


def test_a_diff_can_be_piped_in_and_the_answer_cut_short(model_home: Home) -> None:
    with start(model_home, "Write a commit message for this change:", "--json") as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(DIFF)
        process.stdin.close()
        events: list[dict[str, object]] = []
        while not events or events[-1]["type"] == "progress":
            events.append(json.loads(process.stdout.readline()))
        assert events[-1]["type"] == "text"
        process.send_signal(signal.SIGTERM)
        last = json.loads(process.stdout.readlines()[-1])
        assert (last["type"], last["kind"]) == ("error", "cancelled")
        assert process.wait(LIMIT_S) == 143


@pytest.mark.parametrize(
    ("arguments", "code"),
    [(("-m", "local/nothing", "Hi"), 1), (("-m", "nobody/nothing", "Hi"), 3), ((), 2), (("--nonsense",), 2)],
)
def test_what_cannot_be_asked_has_its_exit_code_and_no_answer(
    model_home: Home, arguments: tuple[str, ...], code: int
) -> None:
    done = run(model_home, *arguments)
    assert (done.returncode, done.stdout) == (code, b"")
    assert done.stderr


def test_the_model_ends_with_the_reader(model_home: Home) -> None:
    with start(model_home, "Tell me a long story about a dragon and a knight.") as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.close()
        assert process.stdout.read(1)
        under = processes_under(process.pid)
        assert under
        process.stdout.close()
        assert process.wait(LIMIT_S) == 141
        wait_until_gone(under)

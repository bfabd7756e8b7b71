"""What plugins, models, files and the clipboard say reaches a terminal as harmless text, whatever is in it.

The same keys are pressed twice, before plugins that are hostile in every word and before plain ones: the
terminal may receive no other kind of control sequence from the first.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter

import pytest

from registry.chat import Message
from tests.e2e.homes import ENTRY_POINTS, LIMIT_S, Home
from tests.e2e.scene_plugins import HOSTILE, PLAIN
from tests.e2e.terminal import PtySession
from tests.tui.cli_harness import COMMAND
from tui.history.history import History

_SEQUENCE = re.compile(rb"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b.?", re.DOTALL)
_COLOURS = re.compile(rb"\x1b\[(?:(?:\d|[34]8;2;\d+;\d+;\d+|[34]8;5;\d+|[34]9)(?:;|(?=m)))*m")
_PLACE = re.compile(rb"\x1b\[\d+;\d+H")
_EVERY_PLUGIN = ("scene", "scene-raising", "scene-unloadable")


def kinds(output: bytes) -> Counter[bytes]:
    """The control sequences of an output, colours and places of the cursor left out."""
    found = _SEQUENCE.findall(output)
    return Counter(one for one in found if not _COLOURS.fullmatch(one) and not _PLACE.fullmatch(one))


def assert_inert(output: bytes) -> None:
    """No text of a terminal's output can do anything: not control it, not hide, not turn around."""
    text = _SEQUENCE.sub(b"", output).decode("utf-8")  # strictly: half a character would be a fault as well
    bad = {
        character
        for character in text
        if unicodedata.category(character) in {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"} and character not in "\r\n"
    }
    assert not bad


def hostile_config(text: str) -> str:
    """Keys and values of config.toml that say this text."""
    quoted = '"' + "".join(f"\\u{ord(c):04x}" if not " " <= c <= "~" or c in '"\\' else c for c in text) + '"'
    keys = f'[keys]\n{quoted} = "f9"\n"chat.retry" = {quoted}\n'
    return f"theme = {quoted}\n{quoted} = 1\n{keys}[plugins.{quoted}]\nenabled = 7\n"


def tour(home: Home, text: str) -> bytes:
    """Everything that the app shows of what others say; gives the terminal's output."""
    config_text = text.replace("\ud83d", "")  # TOML itself refuses half a character
    home.configure(*_EVERY_PLUGIN, model="scene/text", text=hostile_config(config_text))
    home.history.parent.mkdir(parents=True, exist_ok=True)
    history = History(home.history)
    earlier = history.create_conversation(title=text)
    history.add_message(earlier, Message.of("user", f"earlier {text}"))
    history.add_message(earlier, Message.of("assistant", f"replied {text}"), note=text)
    history.close()
    with home.pty(size=(120, 40)) as session:
        session.wait_for(b"ready", timeout_s=LIMIT_S)
        _chat(session, text)
        _visit_screens(session)
        session.send(b"\x11")
        assert session.wait_for_exit(LIMIT_S) == 0
        return session.output


def _do(session: PtySession, keys: bytes, expected: bytes) -> None:
    """Press keys, and wait until the terminal has received a text."""
    here = len(session.output)
    session.send(keys)
    session.wait_for(expected, start=here, timeout_s=LIMIT_S)


def _ask(session: PtySession, keys: bytes, last_word: bytes) -> None:
    """Send a prompt, and wait until its answer has come to its end."""
    here = len(session.output)

    def is_answered(output: bytes) -> bool:
        ended = output.rfind(b"ready") > max(output.rfind(b"waiting"), output.rfind(b"answering"))
        return ended and last_word in output[here:]

    session.send(keys)
    session.wait_for(is_answered, timeout_s=LIMIT_S)


def _chat(session: PtySession, text: str) -> None:
    _ask(session, b"first\r", b"farewell1")  # scene-raising fails once
    _do(session, _pasted(f"pasted {text} ending"), b"ending")
    _ask(session, b"\r", b"farewell3")  # and once more, and is switched off
    _do(session, b"/show\r", b"adieu")
    _do(session, b"/break\r", b"Broke")
    _do(session, b"\x0e", b"J A C K")


def _pasted(text: str) -> bytes:
    return b"\x1b[200~" + text.encode("utf-8", "replace") + b"\x1b[201~"


def _visit_screens(session: PtySession) -> None:
    _do(session, b"\x1bOQ", b"Plugins")  # F2
    _do(session, b"/", b"Name, summary")
    _do(session, b"scene", b"%d shown" % len(ENTRY_POINTS))
    _do(session, b"\r\x1b[H", b"On/off")
    for name in sorted(ENTRY_POINTS)[1:]:
        _do(session, b"\x1b[B", name.encode())
    _do(session, b"\x1b[27u", b"local")
    _do(session, b"\x1b[27u", b"J A C K")
    _do(session, b"\x1bOR", b"Listed")  # F3
    _do(session, b"\x1b[27u", b"J A C K")
    _do(session, b"\x1bOS", b"just now")  # F4
    _do(session, b"\x1b[B\r", b"replied")


def test_nothing_that_others_say_controls_the_terminal(home: Home, hostile_home: Home) -> None:
    hostile, plain = tour(hostile_home, HOSTILE), tour(home, PLAIN)
    assert_inert(hostile)
    assert_inert(plain)
    assert set(kinds(hostile)) == set(kinds(plain))
    for sequence, count in kinds(plain).items():
        if sequence.startswith((b"\x1b[?", b"\x1b]")):
            assert kinds(hostile)[sequence] == count, sequence


def test_hostile_text_is_shown_as_it_reads(hostile_home: Home) -> None:
    hostile_home.configure("scene", model="scene/text")
    with hostile_home.terminal((120, 40)) as terminal:
        terminal.start(*COMMAND)
        terminal.wait_for("ready", LIMIT_S)
        terminal.type("go")
        terminal.press("Enter")
        screen = terminal.wait_for("farewell", LIMIT_S)
        for text in (
            "osc. csi. c1. dcs. bidignpx.",
            "markup [/x] [@click=app.quit]x[/] [red].",
            "c. lone. bell",
        ):
            assert text in screen
        terminal.type("alive")
        terminal.wait_for("alive")


@pytest.mark.parametrize("model", ["text", "failing"])
def test_answers_and_errors_of_one_question_are_inert_on_a_terminal_and_in_a_pipe(
    hostile_home: Home, model: str
) -> None:
    hostile_home.configure(*_EVERY_PLUGIN, text=hostile_config(HOSTILE.replace("\ud83d", "")))
    arguments = ("ask", "-m", f"scene/{model}", "Hi")
    piped = ("sh", "-c", 'p=$1; shift; "$@" 2>&1 </dev/null | cat', "sh", "")
    with hostile_home.pty(*arguments) as session, hostile_home.pty(*arguments, before=piped) as pipe:
        codes = session.wait_for_exit(LIMIT_S), pipe.wait_for_exit(LIMIT_S)
        for output in (session.output, pipe.output):
            assert_inert(output)
            assert set(kinds(output)) <= {b"\x1b[K"}
            assert b"scene-raising" in output
        assert codes[0] == (0 if model == "text" else 1)
        assert (b"farewell" if model == "text" else b"Detail") in session.output


def test_lists_of_plugins_and_models_are_inert(hostile_home: Home) -> None:
    hostile_home.configure("scene")
    for arguments in (("plugins", "list"), ("models",), ("plugins", "list", "--json")):
        with hostile_home.pty(*arguments, size=(300, 40)) as session:
            assert session.wait_for_exit(LIMIT_S) == 0
            assert_inert(session.output)
            assert set(kinds(session.output)) <= {b"\x1b[31m"}  # the colour of what failed
            assert b"scene" in session.output

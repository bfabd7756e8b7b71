"""Two windows of one user: neither takes anything from the other."""

from __future__ import annotations

from tomllib import loads

from tests.e2e.homes import LIMIT_S, Home, wait_for_said
from tests.e2e.terminal import PtySession, wait_until


def send(session: PtySession, prompt: bytes, *expected: bytes) -> None:
    here = len(session.output)
    session.send(prompt + b"\r")
    for text in expected:
        session.wait_for(text, start=here, timeout_s=LIMIT_S)


def switch_on(session: PtySession, plugin: bytes) -> None:
    """Switch a plugin on in the plugins screen."""
    here = len(session.output)
    session.send(b"\x1bOQ")
    session.wait_for(b"Plugins", start=here, timeout_s=LIMIT_S)
    session.send(b"/")
    session.wait_for(b"Name, summary", start=here, timeout_s=LIMIT_S)
    session.send(plugin)
    session.wait_for(b"1 shown", start=here, timeout_s=LIMIT_S)
    session.send(b"\r")
    session.wait_for(b"On/off", start=here, timeout_s=LIMIT_S)
    session.send(b" ")


def is_on(home: Home) -> set[str]:
    """The plugins that config.toml switches on."""
    plugins = loads(home.config.read_text(encoding="utf-8"))["plugins"]
    return {name for name, table in plugins.items() if table.get("enabled")}


def test_both_chat_and_both_are_remembered(home: Home) -> None:
    home.configure("scene", model="scene/echo")
    with home.pty() as one, home.pty() as two:
        for session in (one, two):
            session.wait_for(b"ready", timeout_s=LIMIT_S)
        send(one, b"from one", b"<from one>")
        send(two, b"from two", b"<from two>")
        send(one, b"once more", b"<once more>")
        said = wait_for_said(home, lambda said: [state for _, state, _ in said] == ["complete"] * 6)
        assert {text for role, _, text in said if role == "user"} == {"from one", "from two", "once more"}
        here = len(two.output)
        two.send(b"\x1bOS")
        two.wait_for(b"from one", start=here, timeout_s=LIMIT_S)


def test_both_switch_plugins_and_neither_switch_is_lost(home: Home) -> None:
    home.configure("scene", model="scene/echo", text="# mine\n[ui]\nunknown = 1\n")
    with home.pty() as one, home.pty() as two:
        for session in (one, two):
            session.wait_for(b"ready", timeout_s=LIMIT_S)
        switch_on(one, b"scene-one")
        switch_on(two, b"scene-two")
        wait_until(lambda: is_on(home) == {"scene", "scene-one", "scene-two"}, LIMIT_S, "both are on")
    assert "# mine\n[ui]\nunknown = 1\n" in home.config.read_text(encoding="utf-8")


def test_an_answer_that_streams_in_one_window_is_not_interrupted_for_the_other(home: Home) -> None:
    home.configure("scene", model="scene/steady")
    with home.pty() as one:
        one.wait_for(b"ready", timeout_s=LIMIT_S)
        send(one, b"go", b"w00003")
        home.configure("scene", model="scene/echo")
        with home.pty() as two:
            two.wait_for(b"ready", timeout_s=LIMIT_S)
            send(two, b"and you", b"<and you>")
            assert b"interrupted" not in two.output
            two.send(b"\x11")
            assert two.wait_for_exit(LIMIT_S) == 0
        one.wait_for(b"w00100", timeout_s=LIMIT_S)
        here = len(one.output)
        one.send(b"\x1b")
        one.wait_for(b"stopped", start=here, timeout_s=LIMIT_S)
        wait_for_said(home, lambda said: said[1][1] == "stopped")
        assert "w00100" in home.said()[1][2]

"""Opening a page in a browser, and never in the terminal."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest

from registry.oauth import has_display, open_browser, qr_lines

PAGE = "https://a.example/auth?a=1&b=2"
LIMIT_S = 20

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the browsers of the test are scripts")


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    folder = tmp_path / "bin"
    folder.mkdir()
    return folder


def install(programs: Path, name: str) -> Path:
    """A browser that writes down what it was started with, and where its output goes; where that is."""
    told = programs.parent / f"{name}.told"
    script = programs / name
    script.write_text(
        "#!/bin/sh\n"
        "streams=$(/usr/bin/readlink /proc/$$/fd/0 /proc/$$/fd/1 /proc/$$/fd/2)\n"
        f'{{ for part in "$@"; do echo "$part"; done; echo "$streams"; }} > {told}.new\n'
        f"/bin/mv {told}.new {told}\n"
    )
    script.chmod(0o755)
    return told


def environment(programs: Path, **more: str) -> dict[str, str]:
    return {
        "PATH": f"{programs}:/usr/bin:/bin" if "browsers" in more else str(programs),
        "DISPLAY": ":0",
        **more,
    }


def told(file: Path) -> list[str]:
    limit = time.monotonic() + LIMIT_S
    while not file.exists():
        assert time.monotonic() < limit, f"{file.stem} was not started"
        time.sleep(0.01)
    return file.read_text().splitlines()


def test_the_systems_browser_gets_the_page_and_no_terminal(programs: Path) -> None:
    file = install(programs, "xdg-open")
    assert open_browser(PAGE, environment(programs))
    assert told(file) == [PAGE, "/dev/null", "/dev/null", "/dev/null"]


def test_without_a_browser_the_page_is_not_opened(programs: Path) -> None:
    assert not open_browser(PAGE, environment(programs))


def test_without_a_display_no_browser_is_started(programs: Path) -> None:
    install(programs, "xdg-open")
    assert not open_browser(PAGE, {"PATH": str(programs)})


@pytest.mark.parametrize("name", ["w3m", "www-browser", "lynx", "links", "elinks"])
def test_a_text_browser_is_never_started(programs: Path, name: str) -> None:
    install(programs, name)
    assert not open_browser(PAGE, environment(programs))
    assert not open_browser(PAGE, environment(programs, BROWSER=name))
    assert not open_browser(PAGE, environment(programs, BROWSER=f"{programs / name} %s"))
    (programs / "x-www-browser").symlink_to(programs / name)
    assert not open_browser(PAGE, environment(programs))


def test_the_users_choice_comes_first_and_gets_the_page_in_its_place(programs: Path) -> None:
    install(programs, "xdg-open")
    file = install(programs, "mine")
    assert open_browser(PAGE, environment(programs, BROWSER="missing:w3m:mine --new '%s' --last"))
    assert told(file)[:3] == ["--new", PAGE, "--last"]


def test_the_users_choice_counts_without_a_display_too(programs: Path) -> None:
    file = install(programs, "helper")
    assert open_browser(PAGE, {"PATH": str(programs), "BROWSER": "helper"})  # as editors have it on servers
    assert told(file)[:1] == [PAGE]


@pytest.mark.parametrize("chosen", ["none", "'unclosed", "w3m", ":", "missing %s"])
def test_a_choice_that_cannot_be_means_no_browser(programs: Path, chosen: str) -> None:
    install(programs, "xdg-open")
    assert not open_browser(PAGE, environment(programs, BROWSER=chosen))


def test_no_shell_sees_the_page(programs: Path) -> None:
    file = install(programs, "mine")
    page = "https://a.example/$(id)?a=1&b=2;c"
    assert open_browser(page, environment(programs, BROWSER="mine %s"))
    assert told(file)[:1] == [page]


@pytest.mark.parametrize(
    "page",
    [
        "http://plain.example.com",
        "file:///etc/passwd",
        "javascript:alert(1)",
        "-https://a.example",
        "https://user@a.example",
        "",
        "https://a.example/ b",
    ],
)
def test_only_https_is_opened(programs: Path, page: str) -> None:
    install(programs, "xdg-open")
    assert not open_browser(page, environment(programs))


def test_a_page_of_this_machine_is_opened(programs: Path) -> None:
    install(programs, "xdg-open")
    assert open_browser("http://127.0.0.1:4456/auth", environment(programs))


@pytest.mark.skipif(sys.platform != "linux", reason="the others always have a display")
@pytest.mark.parametrize(
    ("env", "there"),
    [
        ({}, False),
        ({"DISPLAY": ""}, False),
        ({"DISPLAY": ":0"}, True),
        ({"WAYLAND_DISPLAY": "wayland-0"}, True),
        ({"WSL_DISTRO_NAME": "Debian"}, True),
        ({"DISPLAY": ":0", "SSH_CONNECTION": "1 2 3 4"}, False),
        ({"DISPLAY": ":0", "SSH_TTY": "/dev/pts/0"}, False),
    ],
)
def test_a_display_is_one_that_the_user_sees(env: dict[str, str], there: bool) -> None:
    assert has_display(env) is there


def test_a_qr_code_is_a_rectangle_that_fits_beside_a_code() -> None:
    lines = qr_lines("https://a.example/device?user_code=ABCD-EFGH")
    assert set("".join(lines)) <= set(" ▀▄█")
    assert {len(line) for line in lines} == {len(lines[0])}
    assert len(lines) <= 20
    assert len(lines[0]) <= 40


def test_a_qr_code_holds_the_modules_of_the_code() -> None:
    import segno

    text = "https://a.example/device"
    upper = {" ": 0, "▀": 1, "▄": 0, "█": 1}
    lower = {" ": 0, "▀": 0, "▄": 1, "█": 1}
    drawn = [[row[mark] for mark in line] for line in qr_lines(text) for row in (upper, lower)]
    wanted = [list(row) for row in segno.make_qr(text, error="l").matrix_iter(border=2)]
    assert drawn[: len(wanted)] == wanted
    assert not any(map(any, drawn[len(wanted) :]))


def test_a_text_that_is_too_long_has_no_qr_code() -> None:
    assert qr_lines("x" * 5000) == []

"""Opening a page in the user's browser, never in this terminal."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from pathlib import PurePath

from registry.oauth.addresses import is_safe_address

_TEXT_BROWSERS = frozenset(
    (
        "www-browser",
        "w3m",
        "lynx",
        "links",
        "links2",
        "elinks",
        "browsh",
        "carbonyl",
        "cha",
        "chawan",
        "edbrowse",
    )
)
_ON_LINUX = (
    ["xdg-open"],
    ["gio", "open"],
    ["x-www-browser"],
    ["firefox"],
    ["chromium"],
    ["google-chrome"],
)
# not `cmd.exe /c start`, which reads the & of an address as the end of the command
_ON_WSL = (["wslview"], ["rundll32.exe", "url.dll,FileProtocolHandler"])


def has_display(env: Mapping[str, str]) -> bool:
    """Whether a browser on this machine is one that the user sees, and can reach a listener here.

    Over SSH it is not, even where a display is forwarded.
    """
    if any(env.get(name) for name in ("SSH_CONNECTION", "SSH_CLIENT", "SSH_TTY")):
        return False
    if sys.platform in {"win32", "darwin"} or _is_wsl(env):
        return True
    return bool(env.get("DISPLAY") or env.get("WAYLAND_DISPLAY"))


def open_browser(url: str, env: Mapping[str, str]) -> bool:
    """Start a browser with a page and do not wait for it; False when there is none that could show it.

    Only https is opened, or http on this machine. `BROWSER` is heeded: a list of commands, `%s` for the
    address; with it set, nothing else is tried, so BROWSER=none keeps every browser shut. A text browser
    would take over the terminal and is never started.

    Args:
        url: the page.
        env: the environment, both for the decision and for the browser.
    """
    if not is_safe_address(url):
        return False
    return any(_start(_filled(command, url), env) for command in _commands(env))


def _commands(env: Mapping[str, str]) -> Iterator[list[str]]:
    if chosen := env.get("BROWSER"):
        yield from _chosen(chosen)
    elif sys.platform == "darwin":
        yield ["open"]
    elif sys.platform == "win32":
        yield ["rundll32.exe", "url.dll,FileProtocolHandler"]
    elif _is_wsl(env):
        yield from _ON_WSL
    elif has_display(env):
        yield from _ON_LINUX


def _chosen(browsers: str) -> Iterator[list[str]]:
    for text in browsers.split(os.pathsep):
        try:
            command = shlex.split(text, posix=sys.platform != "win32")
        except ValueError:  # a quote that is not closed
            continue
        if command:
            yield command


def _filled(command: list[str], url: str) -> list[str]:
    if not any("%s" in part for part in command[1:]):
        return [*command, url]
    return [command[0], *(part.replace("%s", url) for part in command[1:])]


def _start(command: list[str], env: Mapping[str, str]) -> bool:
    program = shutil.which(command[0], path=env.get("PATH"))
    if program is None or _is_text_browser(command[0]) or _is_text_browser(os.path.realpath(program)):
        return False
    try:
        process = subprocess.Popen(  # noqa: S603 - no shell, and the address has been checked
            [program, *command[1:]],
            env=dict(env),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
    except OSError:
        return False
    # so that it leaves no zombie; the thread is not waited for
    threading.Thread(target=process.wait, name="browser", daemon=True).start()
    return True


def _is_text_browser(program: str) -> bool:
    return PurePath(program).stem.lower() in _TEXT_BROWSERS


def _is_wsl(env: Mapping[str, str]) -> bool:
    return sys.platform == "linux" and bool(env.get("WSL_DISTRO_NAME") or env.get("WSL_INTEROP"))

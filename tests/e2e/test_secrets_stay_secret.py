"""A day with every way to sign in, after which every secret is looked for wherever it must not be."""

from __future__ import annotations

import json
import re
import sys
import threading
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.e2e.homes import LIMIT_S
from tests.e2e.terminal import TmuxTerminal
from tests.keyring_session import KeyringSession
from tests.processes import command_lines
from tests.registry.oauth.servers import Browser, oidc_server
from tests.tui.cli_harness import COMMAND, Shell
from tests.tui.test_cli_auth_oauth import logging_in
from tests.tui.vault import install_vault, new_vault_home, vault_server

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the arguments of processes are in /proc")

KEYS = {
    "app": "app-key/Zm9vYmFyMTIz+9",
    "app form": "app password: 4 words & more",
    "cli": "cli-key/aGVsbG8gdGhlcmU+7",
    "cli form": "cli password: other words",
    "refused": "wrong-key/c29tZXRoaW5n+3",
}
SCREENSHOTS = Path(__file__).parents[2] / "screenshots"
DISPLAY = {"DISPLAY": ":99", "BROWSER": "none", "JACKFIELD_DEBUG": "1"}


def forms(secret: str) -> list[bytes]:
    """How a secret may be written."""
    data = secret.encode()
    encoded = [secret, quote(secret), quote(secret, safe=""), json.dumps(secret)[1:-1]]
    return [
        *(text.encode() for text in encoded),
        b64encode(data).rstrip(b"="),
        urlsafe_b64encode(data).rstrip(b"="),
    ]


class Day:
    """All that was shown, and the arguments of all processes that were seen."""

    def __init__(self) -> None:
        self.shown: dict[str, bytes] = {}
        self.arguments: set[bytes] = set()
        self.secrets: dict[str, str] = dict(KEYS)

    def show(self, what: str, text: str) -> None:
        self.shown[f"{len(self.shown)} {what}"] = text.encode()

    def run(self, shell: Shell, *arguments: str, secrets: str = "") -> int:
        """A command to its end; its exit code."""
        result = shell.run(*arguments, stdin=f"{secrets}\n".encode())
        self.show(" ".join(arguments), result.out + result.err)
        return result.code

    def learn(self, keyring: KeyringSession) -> None:
        """Note the secrets that servers gave."""
        for (_, label), text in keyring.items().items():
            for name, secret in json.loads(text)["secrets"].items():
                self.secrets[f"{label} {name}"] = secret

    def found(self, *folders: Path) -> list[str]:
        """Where secrets are: a file, something shown, or the arguments of a process."""
        files = [file for folder in folders for file in folder.rglob("*") if file.is_file()]
        places = {str(file): file.read_bytes() for file in files}
        assert places
        places |= self.shown | {f"arguments {text!r}": text for text in self.arguments}
        return [
            f"the secret {name!r} is in {place}"
            for name, secret in self.secrets.items()
            for place, content in places.items()
            if any(form in content for form in forms(secret))
        ]

    @contextmanager
    def watching_arguments(self) -> Iterator[None]:
        """Look at the arguments of all processes again and again."""
        done = threading.Event()

        def watch() -> None:
            while not done.wait(0.02):
                self.arguments |= command_lines()

        thread = threading.Thread(target=watch, daemon=True)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()


def models_in(screen: str) -> set[str]:
    """The models that the picker has rows for."""
    return set(re.findall(r"│[ ●]+(echo|refuse|crash)\s+(?:Vault\s+)?·", screen))


class App:
    """The app in a terminal, driven by its keys."""

    def __init__(self, terminal: TmuxTerminal, day: Day) -> None:
        self.terminal = terminal
        self.day = day

    def until(self, text: str) -> str:
        screen = self.terminal.wait_for(text, LIMIT_S)
        self.day.show(f"screen with {text}", screen)
        self.day.show(f"styled screen with {text}", self.terminal.styled_screen())
        return screen

    def open_form(self, *, another: bool) -> None:
        self.terminal.press("F7")
        if another:
            self.until("Sign out")
            self.terminal.press("a")
        self.until("Connect a provider")
        self.terminal.wait_for("Anthropic", LIMIT_S)
        self.terminal.type("vault")
        self.terminal.wait_for(lambda screen: "Anthropic" not in screen and "Vault" in screen, LIMIT_S)
        self.terminal.press("Enter")
        self.until("Connect Vault")
        self.until("https://vault.example/keys")

    def choose_model(self, name: str) -> None:
        """Find it by typing; the picker has a row for each model of the plugin, then one."""
        self.terminal.wait_for(lambda screen: models_in(screen) >= {"echo", "refuse", "crash"}, LIMIT_S)
        self.terminal.type(name)
        self.terminal.wait_for(lambda screen: models_in(screen) == {name}, LIMIT_S)
        self.terminal.press("Enter")
        self.terminal.wait_for(
            lambda screen: (
                "per million tokens" not in screen
                and re.search(rf"(ready|failed)  {name}", screen) is not None
            ),
            LIMIT_S,
        )

    def say(self, text: str, expected: str) -> None:
        self.terminal.type(text)
        self.terminal.press("Enter")
        self.until(expected)


def page_of(screen: str) -> str:
    """The address of the page to sign in on, which takes several lines."""
    lines = [line.strip() for line in screen.splitlines()]
    box = "".join(line.removeprefix("█").strip() for line in lines if line.startswith("█"))
    return box[max(box.find("http"), 0) :]


def use_the_app(app: App, browser: Browser) -> None:
    """Connect by key, by form and in the browser; chat, copy, fail, and crash."""
    terminal = app.terminal
    terminal.wait_for("● ready", LIMIT_S)
    app.open_form(another=False)
    terminal.paste(KEYS["app"])
    terminal.press("C-s")
    app.choose_model("echo")
    app.say("Hello", "Opened the vault")
    terminal.type("/copy")
    terminal.press("Enter")
    app.open_form(another=True)
    terminal.press("C-t")
    app.until("Password")
    terminal.press("C-s")
    app.until("This is needed.")
    terminal.paste(KEYS["app form"])
    terminal.press("C-s")
    app.choose_model("echo")
    app.open_form(another=True)
    terminal.press("C-t")
    app.until("Password")
    terminal.press("C-t")
    terminal.wait_for("You sign in in a browser", LIMIT_S)
    terminal.press("C-s")
    terminal.wait_for(lambda screen: page_of(screen).endswith("=S256"), LIMIT_S)
    browser.open(browser.approve(page_of(app.until("Waiting for the answer"))))
    app.choose_model("echo")
    app.say("Again", "Opened the vault")


def test_no_secret_is_anywhere_but_in_the_keyring(tmp_path: Path, keyring_session: KeyringSession) -> None:
    day = Day()
    with oidc_server() as oidc, vault_server() as vault, Browser(oidc) as browser:
        installed = install_vault(tmp_path / "installed", service=vault.url, issuer=oidc.issuer)
        shell = new_vault_home(installed, tmp_path / "home", **keyring_session.variables, **DISPLAY)
        with day.watching_arguments():
            _use_terminal(shell, day, browser, keyring_session)
            _use_commands(shell, day, browser, keyring_session)
        assert {KEYS["app"], KEYS["app form"], KEYS["cli"], KEYS["cli form"]} <= set(vault.tokens)
    assert len(day.secrets) >= len(KEYS) + 6
    assert any(b"[secret]" in text for text in day.shown.values())
    assert day.found(shell.home, SCREENSHOTS) == []
    assert keyring_session.items() == {}


def _use_terminal(shell: Shell, day: Day, browser: Browser, keyring: KeyringSession) -> None:
    with TmuxTerminal(size=(600, 40), env=shell.environment()) as terminal:
        work = shell.home / "work"  # what is exported is looked through with the rest
        work.mkdir()
        terminal.start("sh", "-c", 'cd "$1"; shift; exec "$@"', "sh", str(work), *COMMAND)
        app = App(terminal, day)
        use_the_app(app, browser)
        day.learn(keyring)
        assert day.found(shell.home) == []  # while the write-ahead log of the history is there
        terminal.press("F3")
        app.choose_model("refuse")
        app.say("Fail", "[secret]")
        app.say("/export", "Exported to")
        assert [file for file in work.glob("*.md") if "Opened the vault" in file.read_text()]
        terminal.press("F3")
        app.choose_model("crash")
        terminal.type("Crash")
        terminal.press("Enter")
        code = terminal.wait_for_exit(LIMIT_S)
        assert code == 1, (code, terminal.screen()[:1500])
        app.until("ZeroDivisionError: no way out of the app with [secret]")


def _use_commands(shell: Shell, day: Day, browser: Browser, keyring: KeyringSession) -> None:
    assert day.run(shell, "auth", "login", "vault", secrets=KEYS["refused"]) == 1
    assert day.run(shell, "auth", "login", "vault", "--label", "key", secrets=KEYS["cli"]) == 0
    form = ("--method", "form", "--label", "form")
    assert day.run(shell, "auth", "login", "vault", *form, secrets=KEYS["cli form"]) == 0
    with logging_in(shell, "--method", "page", "--label", "page") as login:
        browser.open(browser.approve(login.until("http")))
        code, out = login.end()
    day.show("login by page", login.said + out)
    assert code == 0, login.said
    day.learn(keyring)
    for label in ("key", "page"):
        for model, code in (("echo", 0), ("refuse", 1), ("crash", 1)):
            for mode in ((), ("--json",)):
                assert day.run(shell, "ask", "-m", f"vault/{model}", "-c", label, *mode, "Hi") == code
    for command in (("list", "--json"), ("status",), ("doctor",)):
        assert day.run(shell, "auth", *command) == 0
    assert day.run(shell, "auth", "logout", "vault", "--all", "--yes") == 0

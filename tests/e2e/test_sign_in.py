"""Signing in in every way, switching accounts and signing out, in a real terminal with the keyboard alone."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

from tests.e2e.terminal import TmuxTerminal, wait_until
from tests.keyring_session import KeyringSession
from tests.registry.oauth.servers import AuthServer, Browser, agreeing_browser, oidc_server
from tests.tui.cli_harness import COMMAND
from tests.tui.vault import VaultServer, install_vault, new_vault_home, vault_server

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="gnome-keyring is a keyring of Linux")

LIMIT_S = 15.0
KEY = "vault-key-0123456789"
PASSWORD = "four words and more"
SERVICE = "jackfield:vault"
WAYS = {"key": "API", "form": "region", "page": "Account", "device": "Account"}
"""The plugin's ways to sign in, in its order, and how the label of the first field of each begins.

Each account of this test is named after its own.
"""
SAYS = {"page": "You sign in in a browser", "device": "You get a code"}
"""What tells one from the other where both begin with the same field."""


@dataclass(frozen=True)
class Servers:
    oidc: AuthServer
    vault: VaultServer


@pytest.fixture(scope="module")
def servers() -> Iterator[Servers]:
    with oidc_server() as oidc, vault_server() as vault:
        yield Servers(oidc, vault)


@pytest.fixture
def terminal(servers: Servers, keyring_session: KeyringSession, tmp_path: Path) -> Iterator[TmuxTerminal]:
    """The app, started for the first time on a desktop whose browser agrees to everything."""
    desktop = {**keyring_session.variables, "DISPLAY": ":99", "BROWSER": agreeing_browser()}
    installed = install_vault(tmp_path / "installed", service=servers.vault.url, issuer=servers.oidc.issuer)
    shell = new_vault_home(installed, tmp_path / "home", **desktop)
    with TmuxTerminal(size=(80, 24), env=shell.environment()) as started:
        started.start(*COMMAND)
        started.wait_for("● ready", LIMIT_S)
        yield started


@pytest.mark.timeout(300)
def test_every_way_to_sign_in_to_switch_and_to_sign_out(
    servers: Servers, terminal: TmuxTerminal, keyring_session: KeyringSession
) -> None:
    connect_by_key(terminal)
    assert ask(terminal, servers) == KEY
    connect_by_form(terminal)
    assert ask(terminal, servers) == PASSWORD
    connect_by_page(terminal)
    assert servers.oidc.knows(ask(terminal, servers))
    connect_by_code(terminal, servers.oidc)
    assert servers.oidc.knows(ask(terminal, servers))

    kept = {name: json.loads(text) for (service, name), text in keyring_session.items().items()}
    assert {service for service, _ in keyring_session.items()} == {SERVICE}
    assert set(kept) == set(WAYS)
    assert kept["key"]["secrets"] == {"key": KEY}
    assert kept["form"]["values"] == {"region": "us", "zone": "north", "retries": "3", "fast": "false"}
    tokens = [kept[way]["secrets"]["access_token"] for way in ("page", "device")]
    assert all(map(servers.oidc.knows, tokens))

    use_account(terminal, "key")
    assert ask(terminal, servers) == KEY
    use_account(terminal, "form")
    assert ask(terminal, servers) == PASSWORD

    revoked = servers.oidc.count("revoked")
    sign_out_of_all(terminal)
    assert servers.oidc.count("revoked") >= revoked + 2
    assert not any(map(servers.oidc.knows, tokens))
    wait_until(lambda: keyring_session.items() == {}, LIMIT_S, "the secrets are deleted")
    terminal.press("C-q")
    assert terminal.wait_for_exit(LIMIT_S) == 0


def connect_by_key(terminal: TmuxTerminal) -> None:
    open_form(terminal, "key")
    terminal.wait_for("https://vault.example/keys")
    terminal.paste(KEY)
    screen = terminal.wait_for("••••")
    assert KEY not in screen
    name_account(terminal, "key")
    terminal.press("Enter")
    choose_model(terminal)


def connect_by_form(terminal: TmuxTerminal) -> None:
    open_form(terminal, "form")
    assert "Zone" not in terminal.wait_for("Password", LIMIT_S)
    terminal.press("Down")
    terminal.wait_for("Zone", LIMIT_S)
    go_to(terminal, "Zone")
    terminal.type("north")
    terminal.wait_for("north", LIMIT_S)
    go_to(terminal, "Password")
    terminal.type("short")
    terminal.wait_for("At least 8", LIMIT_S)  # said while typing
    clear(terminal)
    terminal.type(PASSWORD)
    terminal.wait_for(lambda screen: "At least 8" not in screen, LIMIT_S)
    for label in ("Retries", "Fast", "Account"):  # below the edge at first
        terminal.press("Tab")
        terminal.wait_for(focus_is(label), LIMIT_S)
    name_account(terminal, "form")
    terminal.press("Enter")
    choose_model(terminal)


def connect_by_page(terminal: TmuxTerminal) -> None:
    open_form(terminal, "page")
    name_account(terminal, "page")
    terminal.press("Enter")
    screen = terminal.wait_for("Enter opens it in your browser", LIMIT_S)
    assert "The page is on 127.0.0.1" in screen or "The page is on localhost" in screen
    terminal.wait_for(lambda screen: re.search(r" [45]:\d\d left", screen) is not None, LIMIT_S)
    terminal.press("Enter")
    choose_model(terminal)


def connect_by_code(terminal: TmuxTerminal, oidc: AuthServer) -> None:
    open_form(terminal, "device")
    name_account(terminal, "device")
    terminal.press("Enter")
    screen = terminal.wait_for(lambda screen: "type this code" in screen and " left" in screen, LIMIT_S)
    with Browser(oidc) as browser:
        browser.approve_device(f"{oidc.issuer}/device?user_code={code_on(screen)}")
    choose_model(terminal)


def open_form(terminal: TmuxTerminal, way: str) -> None:
    """The form of one way to sign in to the plugin."""
    terminal.press("F7")
    screen = terminal.wait_for(lambda screen: "Connect a provider" in screen or "Sign out" in screen, LIMIT_S)
    if "Connect a provider" not in screen:
        terminal.press("a")
    terminal.wait_for(lambda screen: "Connect a provider" in screen and "Anthropic" in screen, LIMIT_S)
    terminal.type("vault")
    terminal.wait_for(lambda screen: "Anthropic" not in screen and "Vault" in screen, LIMIT_S)
    terminal.press("Enter")
    terminal.wait_for("Connect Vault", LIMIT_S)
    for passed in list(WAYS)[: list(WAYS).index(way) + 1]:
        if passed != "key":
            terminal.press("C-t")
        terminal.wait_for(partial(_is_at, WAYS[passed], SAYS.get(passed, "")), LIMIT_S)


def _is_at(label: str, text: str, screen: str) -> bool:
    """Whether the form that says this is there and its first field has the focus."""
    return text in screen and focused(screen) == label


def focused(screen: str) -> str:
    """The first word of the field that has the focus; nothing where it is on no field that is in view."""
    found = re.search(r"^ *█ (\w+)", screen, re.MULTILINE)
    return found[1] if found else ""


def focus_is(label: str) -> Callable[[str], bool]:
    """Whether the field of this label has the focus."""
    return lambda screen: focused(screen) == label


def _has_left(label: str, screen: str) -> bool:
    return focused(screen) != label


def go_to(terminal: TmuxTerminal, label: str) -> None:
    """Press Tab until a field has the focus."""
    for _ in range(10):
        if (before := focused(terminal.screen())) == label:
            return
        terminal.press("Tab")
        terminal.wait_for(partial(_has_left, before), LIMIT_S)
    raise AssertionError(f"Tab does not lead to {label}:\n{terminal.screen()}")


def typed(screen: str) -> str:
    """What stands in the field that has the focus."""
    found = re.search(r"^ *█ \w.*\n *█(.*)$", screen, re.MULTILINE)
    return found[1].strip(" ▁▂▃▄▅▆▇█") if found else ""


def clear(terminal: TmuxTerminal) -> None:
    """Empty the field that has the focus."""
    terminal.press("C-u")
    terminal.wait_for(lambda screen: focused(screen) != "" and typed(screen) == "", LIMIT_S)


def name_account(terminal: TmuxTerminal, name: str) -> None:
    """Say what to call the account."""
    go_to(terminal, "Account")
    clear(terminal)
    terminal.type(name)
    terminal.wait_for(lambda screen: typed(screen) == name, LIMIT_S)


def choose_model(terminal: TmuxTerminal) -> None:
    """Take the model that echoes from the list of what the provider has."""
    terminal.wait_for(lambda screen: "Choose a model" in screen and "refuse" in screen, LIMIT_S)
    terminal.type("echo")
    terminal.wait_for(lambda screen: "refuse" not in screen, LIMIT_S)
    terminal.press("Enter")
    terminal.wait_for(lambda screen: "Choose a model" not in screen and "● ready  echo" in screen, LIMIT_S)


def ask(terminal: TmuxTerminal, servers: Servers) -> str:
    """Chat, and see what the provider was asked with."""
    before = len(servers.vault.tokens)
    terminal.type("Hello")
    terminal.press("Enter")
    wait_until(lambda: len(servers.vault.tokens) > before, LIMIT_S, "the provider is asked")
    token = servers.vault.tokens[-1]
    terminal.wait_for(f"for {len(token)} signs.", LIMIT_S)
    terminal.wait_for("● ready", LIMIT_S)
    return token


def code_on(screen: str) -> str:
    """The code as a person reads it beside the QR code, where there is no room for large letters."""
    spaced = re.search(r"(?:\b[A-Z] ){4}- (?:[A-Z] ?\b){4}", screen)
    assert spaced, screen
    return spaced[0].replace(" ", "")


def described(screen: str) -> str:
    """The account under the cursor, of which the lines below the list speak."""
    found = re.search(r"^ *Vault  (\w+)  ", screen, re.MULTILINE)
    return found[1] if found else ""


def go_to_account(terminal: TmuxTerminal, label: str) -> None:
    """Move to an account in the list, from its top."""
    terminal.press("F7")
    here = ""
    for _ in WAYS:
        here = described(terminal.wait_for(partial(_has_moved, here), LIMIT_S))
        if here == label:
            return
        terminal.press("Down")
    raise AssertionError(f"{label} is not in the list:\n{terminal.screen()}")


def _has_moved(before: str, screen: str) -> bool:
    return described(screen) not in ("", before)


def use_account(terminal: TmuxTerminal, label: str) -> None:
    """Make another account the active one, and go back to the chat."""
    go_to_account(terminal, label)
    terminal.press("Enter")
    terminal.wait_for(lambda screen: re.search(rf"● {label} +active", screen) is not None, LIMIT_S)
    terminal.press("Escape")
    terminal.wait_for("● ready", LIMIT_S)


def sign_out_of_all(terminal: TmuxTerminal) -> None:
    """Sign out of one account after the other."""
    for label in WAYS:
        go_to_account(terminal, label)
        terminal.press("d")
        terminal.wait_for(f"Sign out of Vault, {label}?", LIMIT_S)
        terminal.press("d")
        terminal.wait_for(f"Signed out of Vault, {label}.", LIMIT_S)
        terminal.press("Escape")
        terminal.wait_for("● ready", LIMIT_S)

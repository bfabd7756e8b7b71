"""The accounts: switched, renamed, signed in to again, signed out of, and what is said of the keyring."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace

import httpx
import pytest
from pydantic import SecretStr

from jackfield import Credential
from registry.connections import Connection
from registry.keyring_store import KeyringReport
from registry.oauth import CodeSignIn
from registry.paths import find_paths
from registry.secret_store import StoreKind
from screenshots.take import until
from tests.keyring_session import KeyringSession
from tests.registry.oauth.servers import CERTIFICATES, AuthServer, Browser, code_method, oidc_server
from tests.registry.oauth.steps import sign_in
from tests.tui.acme import API_KEY, KEY, AcmePlugin
from tests.tui.apps import AppPilot, chatting, key_below_cursor, says, screen_text, toasts
from tui.app import JackfieldApp
from tui.connection_text import account_look, expiry
from tui.screens.connect import ConnectScreen
from tui.screens.connect_form import ConnectFormScreen
from tui.screens.connections import ConnectionsScreen
from tui.screens.rename import RenameScreen

NOW = 1_800_000_000.0


def key(number: int) -> Credential:
    return Credential(secrets={"key": SecretStr(f"{KEY}-{number}")})


@asynccontextmanager
async def with_accounts(*labels: str) -> AsyncIterator[tuple[JackfieldApp, AppPilot]]:
    """The app with accounts at Acme, the connections screen open."""
    async with chatting(says("Hello")) as (app, pilot):
        app.host.registry.register(AcmePlugin(API_KEY))
        app.host.stores.chosen = StoreKind.SESSION
        for number, label in enumerate(labels):
            await app.host.connections.add("acme", API_KEY, key(number), label=label)
        await pilot.press("f7")
        await until(pilot, lambda: isinstance(app.screen, ConnectionsScreen) or not labels)
        if labels:
            await until(pilot, lambda: key_below_cursor(app) is not None)
        yield app, pilot


async def accounts(app: JackfieldApp) -> dict[str, bool]:
    return {entry.label: entry.active for entry in await app.host.connections.all()}


async def test_accounts_stand_under_their_provider_with_what_is_known_of_them() -> None:
    async with with_accounts("home", "work") as (app, _):
        shown = screen_text(app)
        assert "2 accounts at 1 provider" in shown
        (work,) = [line for line in shown.splitlines() if "work" in line and "●" in line]
        assert "active" in work
        assert "API key" in work
        assert "does not expire" in work
        assert "this session" in work


async def test_enter_makes_another_account_the_active_one() -> None:
    async with with_accounts("home", "work") as (app, pilot):
        await pilot.press("home", "enter")
        await until(pilot, lambda: any("● home" in line for line in screen_text(app).splitlines()))
        assert await accounts(app) == {"home": True, "work": False}
        credential = await app.host.connections.resolve("acme")
        assert credential is not None
        assert credential.token == f"{KEY}-0"


async def test_an_account_is_renamed() -> None:
    async with with_accounts("home") as (app, pilot):
        await pilot.press("r")
        await until(pilot, lambda: isinstance(app.screen, RenameScreen))
        await pilot.press("ctrl+u", "enter")
        assert isinstance(app.screen, RenameScreen), "an account has a name"
        await pilot.press(*"club", "enter")
        await until(pilot, lambda: "club" in screen_text(app) and "home" not in screen_text(app))
        assert await accounts(app) == {"club": True}


async def test_a_name_that_is_taken_is_told() -> None:
    async with with_accounts("home", "work") as (app, pilot):
        await pilot.press("home", "r")
        await until(pilot, lambda: isinstance(app.screen, RenameScreen))
        await pilot.press("ctrl+u", *"work", "enter")
        await until(pilot, lambda: "Another one has this name already." in screen_text(app))
        assert isinstance(app.screen, RenameScreen), "what was typed stays, to be changed"
        assert set(await accounts(app)) == {"home", "work"}
        await pilot.press("2", "enter")
        await until(pilot, lambda: "work2" in screen_text(app))
        assert set(await accounts(app)) == {"work", "work2"}


async def test_signing_out_asks_once_and_then_the_next_account_is_active() -> None:
    async with with_accounts("home", "work") as (app, pilot):
        await pilot.press("end", "d")
        await until(pilot, lambda: "Sign out of Acme, work?" in screen_text(app))
        assert len(await accounts(app)) == 2
        await pilot.press("up", "down", "d")
        await until(pilot, lambda: "Sign out of Acme, work?" in screen_text(app))
        assert len(await accounts(app)) == 2, "moving away takes the question back"
        await pilot.press("d")
        await until(pilot, lambda: "1 account" in screen_text(app))
        assert await accounts(app) == {"home": True}
        assert "home is active now" in toasts(app)


async def test_escape_takes_the_question_back_and_then_leads_to_the_chat() -> None:
    async with with_accounts("home") as (app, pilot):
        await pilot.press("d")
        await until(pilot, lambda: "Sign out of" in screen_text(app))
        await pilot.press("escape")
        await until(pilot, lambda: "Sign out of" not in screen_text(app))
        await pilot.press("escape")
        await until(pilot, lambda: app.screen is app.chat)
        assert len(await accounts(app)) == 1


async def test_without_an_account_the_list_of_providers_comes_at_once_and_nothing_is_left_below() -> None:
    async with with_accounts() as (app, pilot):
        await until(pilot, lambda: isinstance(app.screen, ConnectScreen))
        await pilot.press("escape")
        await until(pilot, lambda: "No account is connected yet" in screen_text(app))
        await pilot.press("a")
        await until(pilot, lambda: isinstance(app.screen, ConnectScreen))


async def test_signing_in_again_replaces_the_secret_of_the_same_account() -> None:
    async with with_accounts("home") as (app, pilot):
        await pilot.press("s")
        await until(pilot, lambda: isinstance(app.screen, ConnectFormScreen) and app.focused is not None)
        assert "Sign in again to Acme" in screen_text(app)
        await pilot.press(*"another-key", "enter")
        await until(pilot, lambda: isinstance(app.screen, ConnectionsScreen))
        assert await accounts(app) == {"home": True}
        credential = await app.host.connections.resolve("acme")
        assert credential is not None
        assert credential.token == "another-key"


async def test_the_keyring_is_tried_and_without_one_that_is_said() -> None:
    async with with_accounts("home") as (app, pilot):
        await pilot.press("t")
        await until(pilot, lambda: "✗" in screen_text(app) and "keyring" in screen_text(app))


async def test_a_keyring_that_works_is_told_with_its_name(
    keyring_session: KeyringSession,
) -> None:
    async with with_accounts("home") as (app, pilot):
        await pilot.press("t")
        await until(pilot, lambda: "The keyring works" in screen_text(app))
        assert "SecretService" in screen_text(app)


async def test_a_list_that_cannot_be_read_is_told_and_the_app_goes_on() -> None:
    path = find_paths().data / "connections.toml"
    path.parent.mkdir(parents=True)
    path.write_text("connections = [\n", encoding="utf-8")
    async with chatting(says("Hello")) as (app, pilot):
        await pilot.press("f7")
        await until(pilot, lambda: "connections.toml" in toasts(app))
        assert app.is_running


async def test_hostile_names_of_accounts_are_inert() -> None:
    async with with_accounts("[/nope] [b]") as (app, _):
        assert "[/nope] [b]" in screen_text(app)


@pytest.fixture(scope="module")
def oidc() -> Iterator[AuthServer]:
    with oidc_server() as server:
        yield server


async def test_signing_out_of_what_was_signed_in_to_with_oauth_ends_it_at_the_server(
    oidc: AuthServer,
) -> None:
    method = code_method(oidc, name="browser")
    async with chatting(says("Hello")) as (app, pilot):
        app.host.registry.register(AcmePlugin(method))
        app.host.stores.chosen = StoreKind.SESSION
        async with httpx.AsyncClient(trust_env=False, verify=CERTIFICATES) as client:
            with Browser(oidc) as browser:
                credential = await sign_in(CodeSignIn(method, client), browser)
        await app.host.connections.add("acme", method, credential)
        assert await asyncio.to_thread(oidc.knows, credential.token)
        await pilot.press("f7")
        await until(pilot, lambda: "renews itself" in screen_text(app))
        assert "Allowed: " in screen_text(app)
        before = oidc.count("revoked")
        await pilot.press("d", "d")
        await until(pilot, lambda: "Signed out of Acme" in toasts(app))
        assert await accounts(app) == {}
        assert oidc.count("revoked") == before + 1


ENTRY = Connection(
    "acme",
    "default",
    "api_key",
    "home",
    active=True,
    created_at=NOW,
    expires_at=None,
    store=StoreKind.KEYRING,
)


def test_expiry_is_told_in_words() -> None:
    def said(seconds: float, **changes: object) -> str:
        return expiry(replace(ENTRY, expires_at=NOW + seconds, **changes), NOW)  # type: ignore[arg-type]

    assert expiry(ENTRY, NOW) == "does not expire"
    assert said(90 * 86400) == "for 90 days"
    assert said(86400) == "for 1 day"
    assert said(7300) == "for 2 hours"
    assert said(61) == "for 1 minute"
    assert said(5) == "for less than a minute"
    assert said(-5) == "sign in again"
    assert said(5, renewable=True) == "renews itself"
    assert said(9999, needs_sign_in="It was revoked.") == "sign in again"
    assert account_look(replace(ENTRY, needs_sign_in="x"), NOW).word == "sign in again"


def test_a_report_on_the_keyring_says_what_to_do() -> None:
    from tui.screens.connections import _report

    bad = _report(KeyringReport(False, "", "It is locked [/b]", "Unlock it.", False))
    assert "It is locked [/b]" in bad.plain
    assert "Unlock it." in bad.plain

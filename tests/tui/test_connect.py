"""Connecting a provider in the app, from the list to the first answer, with a real server to check with."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from textual.events import Paste
from textual.widgets import Input

from jackfield import ApiKey, AuthMethod, FormField
from registry import encrypted_file_store
from registry.config import load_config
from registry.manifest import AuthMethodEntry
from registry.paths import find_paths
from registry.secret_store import StoreKind
from screenshots.take import until
from tests.keyring_session import KeyringSession
from tests.providers.endpoints import listing, refusal
from tests.providers.peer import Reply, running_peer
from tests.registry.oauth.servers import AuthServer, Browser, code_method, device_method, oidc_server
from tests.tui.acme import API_KEY, KEY, WORKSHOP, AcmePlugin
from tests.tui.apps import AppPilot, ask, chatting, key_below_cursor, says, screen_text, toasts
from tui.app import JackfieldApp
from tui.screens.connect import ConnectScreen
from tui.screens.connect_form import ConnectFormScreen
from tui.screens.models import ModelsScreen
from tui.screens.plugins import PluginsScreen
from tui.screens.secret_store import PassphraseScreen, SecretStoreScreen
from tui.screens.sign_in import SignInScreen

GOOD = listing({"id": "anvil-1"})
BAD = refusal(401, "Incorrect API key provided: acme-****")


@pytest.fixture(autouse=True)
def no_keys_and_no_display(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.endswith("_API_KEY")]:
        monkeypatch.delenv(name)
    monkeypatch.delenv("ACME_TEST_KEY", raising=False)
    monkeypatch.setenv("SSH_CONNECTION", "10.0.0.1 1 10.0.0.2 22")
    monkeypatch.setenv("BROWSER", "none")


@pytest.fixture(autouse=True)
def cheap_passphrases(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encrypted_file_store, "WORK", 2**10)


@asynccontextmanager
async def beginning(
    *methods: AuthMethod, url: str = "", store: StoreKind = StoreKind.SESSION
) -> AsyncIterator[tuple[JackfieldApp, AppPilot, AcmePlugin]]:
    """The app with Acme switched off, and a store that takes secrets."""
    async with chatting(says("Hello")) as (app, pilot):
        plugin = AcmePlugin(*methods, url=url)
        app.host.registry.register(plugin, enabled=False)
        app.host.stores.chosen = store
        yield app, pilot, plugin


async def on_screen(app: JackfieldApp, pilot: AppPilot, kind: type) -> None:
    await until(pilot, lambda: isinstance(app.screen, kind))


async def open_list_at_acme(app: JackfieldApp, pilot: AppPilot) -> None:
    """Find Acme by typing."""
    await pilot.press("f7")
    await on_screen(app, pilot, ConnectScreen)
    await until(pilot, lambda: key_below_cursor(app) is not None)
    await pilot.press(*"acm")
    await until(pilot, lambda: key_below_cursor(app) == "acme")


async def open_form(app: JackfieldApp, pilot: AppPilot) -> None:
    """Find Acme by typing, and open its form."""
    await open_list_at_acme(app, pilot)
    await pilot.press("enter")
    await on_screen(app, pilot, ConnectFormScreen)
    await until(pilot, lambda: app.focused is not None)


async def give(app: JackfieldApp, pilot: AppPilot, text: str) -> None:
    """Paste into the field that has the focus, and press Enter."""
    assert app.focused is not None
    app.focused.post_message(Paste(text))
    await pilot.press("enter")


async def choose_first_model(app: JackfieldApp, pilot: AppPilot) -> None:
    await on_screen(app, pilot, ModelsScreen)
    await until(pilot, lambda: "Asking" not in screen_text(app) and "Anvil 2" in screen_text(app))
    await pilot.press("enter")
    await until(pilot, lambda: app.screen is app.chat and app.chat.status.model == "Anvil 1")


async def test_from_a_pasted_key_to_an_answer_with_the_keyboard_alone() -> None:
    async with running_peer(GOOD) as peer, beginning(API_KEY, url=peer.url) as (app, pilot, _):
        await open_form(app, pilot)
        assert "https://acme.example/account/keys" in screen_text(app)
        await give(app, pilot, f'"{KEY}"\n')
        await choose_first_model(app, pilot)
        assert peer.requests[0][1]["authorization"] == f"Bearer {KEY}"
        assert app.host.registry.handle("acme").contributes
        assert load_config(find_paths()).settings.plugins["acme"].enabled is True
        (connection,) = await app.host.connections.all()
        assert (connection.plugin, connection.label, connection.store) == (
            "acme",
            "default",
            StoreKind.SESSION,
        )
        await ask(app, pilot, "Are you there?")
        await until(pilot, lambda: "Signed in." in screen_text(app))
        assert KEY not in toasts(app)
        assert KEY not in app.export_screenshot()


async def test_what_the_provider_says_stands_on_the_form_and_what_was_typed_is_kept() -> None:
    async with running_peer(BAD, GOOD) as peer, beginning(API_KEY, url=peer.url) as (app, pilot, _):
        await open_form(app, pilot)
        await give(app, pilot, KEY)
        await until(pilot, lambda: "Acme refused the key" in screen_text(app))
        shown = screen_text(app)
        assert "Incorrect API key provided" in shown
        assert "Ctrl+Y" not in shown, "a key that was refused is of no use"
        assert app.screen.query(Input).first().value == KEY
        assert KEY not in shown
        await pilot.press("x")
        await until(pilot, lambda: "Acme refused the key" not in screen_text(app))
        await pilot.press("backspace", "enter")
        await on_screen(app, pilot, ModelsScreen)


async def test_without_a_network_it_can_be_saved_without_checking() -> None:
    async with running_peer() as peer:
        gone = peer.url
    async with beginning(API_KEY, url=gone) as (app, pilot, _):
        await open_form(app, pilot)
        await give(app, pilot, KEY)
        await until(pilot, lambda: "Acme cannot be reached" in screen_text(app))
        assert "Ctrl+Y saves it without checking" in " ".join(screen_text(app).split())
        await pilot.press("ctrl+y")
        await on_screen(app, pilot, ModelsScreen)
        assert len(await app.host.connections.all()) == 1


async def test_a_check_can_be_cancelled_and_leaves_the_plugin_as_it_was() -> None:
    async with (
        running_peer(Reply([b" "], stays_open=True)) as peer,
        beginning(API_KEY, url=peer.url) as (app, pilot, _),
    ):
        await open_form(app, pilot)
        await give(app, pilot, KEY)
        await until(pilot, lambda: "Asking Acme" in screen_text(app) and bool(peer.requests))
        await pilot.press("escape")
        await asyncio.wait_for(peer.left.wait(), 10)
        await until(pilot, lambda: "Asking Acme" not in screen_text(app))
        assert isinstance(app.screen, ConnectFormScreen)
        assert app.screen.query(Input).first().value == KEY
        await pilot.press("escape")
        await on_screen(app, pilot, ConnectScreen)
        assert not app.host.registry.handle("acme").contributes
        assert await app.host.connections.all() == ()


async def test_a_form_with_a_condition_is_filled_in_at_eighty_by_twenty_four() -> None:
    async with running_peer(GOOD) as peer, beginning(WORKSHOP, url=peer.url) as (app, pilot, plugin):
        await open_form(app, pilot)
        await pilot.press("down", "tab")
        await give(app, pilot, "https://a.example")
        await give(app, pilot, "long enough")
        await choose_first_model(app, pilot)
        credential = plugin.provider.seen[0]
        assert credential is not None
        assert credential.values["address"] == "https://a.example"
        assert "region" not in credential.values
        assert credential.secrets["password"].get_secret_value() == "long enough"


async def test_the_field_with_the_focus_is_always_in_view() -> None:
    async with beginning(WORKSHOP) as (app, pilot, _):
        await open_form(app, pilot)
        for _ in range(9):
            assert app.focused is not None
            place = app.focused.region
            body = app.screen.query_one("#body").region
            assert body.contains_region(place), f"{app.focused} is out of sight"
            await pilot.press("tab")


async def test_a_key_in_the_environment_is_offered_and_nothing_is_stored(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("ACME_TEST_KEY", KEY)
    async with running_peer(GOOD) as peer, beginning(API_KEY, url=peer.url) as (app, pilot, _):
        await open_form(app, pilot)
        assert "ACME_TEST_KEY is set: Enter uses it" in screen_text(app)
        await pilot.press("enter")
        await choose_first_model(app, pilot)
        assert peer.requests[0][1]["authorization"] == f"Bearer {KEY}"
        assert await app.host.connections.all() == ()
        await ask(app, pilot, "Are you there?")
        await until(pilot, lambda: "Signed in." in screen_text(app))


async def test_a_key_in_the_environment_is_kept_together_with_what_is_filled_in_beside_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("ACME_TEST_KEY", KEY)
    method = ApiKey(env=("ACME_TEST_KEY",), fields=(FormField(name="team", label="Team"),))
    async with running_peer(GOOD) as peer, beginning(method, url=peer.url) as (app, pilot, _):
        await open_form(app, pilot)
        assert "ACME_TEST_KEY is set: leave the key empty to use it." in screen_text(app)
        await pilot.press("enter")
        await until(pilot, lambda: "This is needed." in screen_text(app))
        await pilot.press(*"forge", "enter")
        await choose_first_model(app, pilot)
        assert len(await app.host.connections.all()) == 1
        kept = await app.host.connections.resolve("acme")
        assert kept is not None
        assert (kept.token, kept.values) == (KEY, {"team": "forge"})


async def test_a_plugin_that_says_nothing_of_itself_is_described_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(AcmePlugin, "summary", "")
    async with beginning(API_KEY) as (app, pilot, _):
        await open_list_at_acme(app, pilot)
        await until(pilot, lambda: "It is off now; connecting switches it on." in screen_text(app))
        assert "│ It is off now" in screen_text(app)


async def test_the_list_has_what_is_connected_first_then_what_the_environment_has(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("GROQ_API_KEY", "gsk-1234567890")
    async with running_peer(GOOD) as peer, beginning(API_KEY, url=peer.url) as (app, pilot, _):
        await open_form(app, pilot)
        await give(app, pilot, KEY)
        await choose_first_model(app, pilot)
        app.connect()
        await on_screen(app, pilot, ConnectScreen)
        await until(pilot, lambda: "Connected" in screen_text(app) and "GROQ_API_KEY" in screen_text(app))
        shown = screen_text(app)
        assert shown.index("Acme") < shown.index("Groq") < shown.index("Others") < shown.index("Anthropic")
        assert "GROQ_API_KEY is set" in shown


async def test_a_second_account_gets_a_name_of_its_own() -> None:
    async with running_peer(GOOD) as peer, beginning(API_KEY, url=peer.url) as (app, pilot, _):
        for number in (1, 2):
            app.connect("acme")
            await on_screen(app, pilot, ConnectFormScreen)
            await until(pilot, lambda: app.focused is not None)
            await give(app, pilot, f"{KEY}{number}")
            await choose_first_model(app, pilot)
        accounts = await app.host.connections.all()
        assert [account.label for account in accounts] == ["default", "account 2"]
        assert [account.active for account in accounts] == [False, True]


async def test_without_a_keyring_the_user_chooses_an_encrypted_file_and_gives_the_passphrase_once() -> None:
    passphrase = "correct horse battery"
    async with (
        running_peer(GOOD) as peer,
        beginning(API_KEY, url=peer.url, store=StoreKind.KEYRING) as (app, pilot, _),
    ):
        await open_form(app, pilot)
        await give(app, pilot, KEY)
        await on_screen(app, pilot, SecretStoreScreen)
        shown = screen_text(app)
        assert "There is no keyring" in shown
        assert all(choice in shown for choice in ("Encrypted file", "This session only", "Environment"))
        await pilot.press("enter")
        await on_screen(app, pilot, PassphraseScreen)
        await give(app, pilot, "short")
        await until(pilot, lambda: "At least 8" in screen_text(app))
        await pilot.press("ctrl+u")
        await give(app, pilot, passphrase)
        await give(app, pilot, "another one")
        await until(pilot, lambda: "not the same" in screen_text(app))
        assert passphrase not in screen_text(app)
        await pilot.press("ctrl+u")
        await give(app, pilot, passphrase)
        await choose_first_model(app, pilot)
        assert load_config(find_paths()).settings.secrets.store is StoreKind.FILE
    assert all(KEY.encode() not in content for content in _files(find_paths().data))
    async with running_peer(GOOD) as peer, chatting(says("Hello")) as (app, pilot):
        app.host.registry.register(AcmePlugin(API_KEY, url=peer.url))
        await pilot.press("f3")
        await on_screen(app, pilot, PassphraseScreen)
        await give(app, pilot, "wrong wrong")
        await until(pilot, lambda: "The passphrase is wrong" in screen_text(app))
        await give(app, pilot, passphrase)
        await until(pilot, lambda: "Anvil 2" in screen_text(app))
        await pilot.press("escape", "f3")
        await until(pilot, lambda: "Anvil 2" in screen_text(app))


async def test_who_gives_no_passphrase_is_back_on_the_form_and_may_choose_again() -> None:
    async with (
        running_peer(GOOD) as peer,
        beginning(API_KEY, url=peer.url, store=StoreKind.KEYRING) as (app, pilot, _),
    ):
        await open_form(app, pilot)
        await give(app, pilot, KEY)
        await on_screen(app, pilot, SecretStoreScreen)
        await pilot.press("enter")
        await on_screen(app, pilot, PassphraseScreen)
        await pilot.press("escape")
        await until(pilot, lambda: "The encrypted file has no passphrase" in screen_text(app))
        assert "Ctrl+Y" not in screen_text(app), "it was checked"
        await pilot.press("enter")
        await on_screen(app, pilot, SecretStoreScreen)
        await pilot.press("down", "enter")
        await on_screen(app, pilot, ModelsScreen)
        assert load_config(find_paths()).settings.secrets.store is StoreKind.KEYRING


async def test_a_keyring_takes_the_secret_without_a_question(keyring_session: KeyringSession) -> None:
    async with (
        running_peer(GOOD) as peer,
        beginning(API_KEY, url=peer.url, store=StoreKind.KEYRING) as (app, pilot, _),
    ):
        await open_form(app, pilot)
        await give(app, pilot, KEY)
        await choose_first_model(app, pilot)
        assert "kept in the system's keyring" in toasts(app)
        (connection,) = await app.host.connections.all()
        assert connection.store is StoreKind.KEYRING


async def test_who_chooses_the_environment_is_told_which_variable_to_set() -> None:
    async with (
        running_peer(GOOD) as peer,
        beginning(API_KEY, url=peer.url, store=StoreKind.KEYRING) as (app, pilot, _),
    ):
        await open_form(app, pilot)
        await give(app, pilot, KEY)
        await on_screen(app, pilot, SecretStoreScreen)
        await pilot.press("end", "enter")
        await until(pilot, lambda: "Set ACME_TEST_KEY" in screen_text(app))
        assert isinstance(app.screen, ConnectFormScreen)
        assert await app.host.connections.all() == ()
        await until(pilot, lambda: app.screen.check_action("save", ()) is True)  # the choice is kept by then
        assert load_config(find_paths()).settings.secrets.store is StoreKind.ENVIRONMENT
        await pilot.press("enter")
        await on_screen(app, pilot, SecretStoreScreen)
        assert "The system's keyring" in screen_text(app), "the choice is no dead end"


async def test_a_method_that_is_declared_wrongly_is_told_and_the_others_work() -> None:
    async with running_peer(GOOD) as peer, beginning(API_KEY, url=peer.url) as (app, pilot, _):
        manifest = app.host.registry.handle("acme").manifest
        wrong = dict(manifest.auth_methods[0].data) | {
            "name": "odd",
            "label": "Odd [/b]",
            "env": ["not a name"],
        }
        methods = (AuthMethodEntry("acme", wrong), *manifest.auth_methods)
        changed = replace(manifest, auth_methods=methods, entry_point=f"{__name__}:nothing")
        await app.host.registry.unregister("acme")
        app.host.registry.register_manifest(changed, enabled=False)
        await open_form(app, pilot)
        shown = screen_text(app)
        assert "Odd [/b]" in shown
        assert "✗" in shown
        await pilot.press("ctrl+t")
        await until(pilot, lambda: "Enter checks it with Acme" in screen_text(app))


async def test_the_ways_to_sign_in_of_one_provider_are_on_one_screen() -> None:
    async with beginning(API_KEY, WORKSHOP) as (app, pilot, _):
        await open_form(app, pilot)
        await pilot.press(*"abc")
        await pilot.press("ctrl+t")
        await until(pilot, lambda: "Region" in screen_text(app))
        await pilot.press("ctrl+t")
        await until(pilot, lambda: "Get a key" in screen_text(app))
        assert app.screen.query(Input).first().value == "abc"
        await pilot.press("shift+tab", "down")
        await until(pilot, lambda: "Region" in screen_text(app))


@pytest.fixture(scope="module")
def oidc() -> Iterator[AuthServer]:
    with oidc_server() as server:
        yield server


async def test_a_code_for_another_device_comes_first_without_a_display_and_signs_in(oidc: AuthServer) -> None:
    methods = (API_KEY, code_method(oidc, name="browser"), device_method(oidc, name="device"))
    async with beginning(*methods) as (app, pilot, plugin):
        await open_form(app, pilot)
        shown = screen_text(app)
        assert shown.index("Sign in with a code") < shown.index("API key")
        await pilot.press("enter")
        await on_screen(app, pilot, SignInScreen)
        screen = app.screen
        assert isinstance(screen, SignInScreen)
        await until(pilot, lambda: screen._code != "")
        with Browser(oidc) as browser:
            address = f"{oidc.issuer}/device?user_code={screen._code}"
            await asyncio.to_thread(browser.approve_device, address)
            await choose_first_model(app, pilot)
        (connection,) = await app.host.connections.all()
        assert (connection.type, connection.renewable) == ("oauth_device", True)
        credential = plugin.provider.seen[-1]
        assert credential is not None
        assert await asyncio.to_thread(oidc.knows, credential.token)


async def test_cancelling_a_sign_in_leads_back_to_the_form(oidc: AuthServer) -> None:
    async with beginning(device_method(oidc, name="device")) as (app, pilot, _):
        await open_form(app, pilot)
        await pilot.press("enter")
        await on_screen(app, pilot, SignInScreen)
        await pilot.press("escape")
        await on_screen(app, pilot, ConnectFormScreen)
        await until(pilot, lambda: "Enter begins to sign in" in screen_text(app))
        await pilot.press("enter")
        await on_screen(app, pilot, SignInScreen)


async def test_a_server_that_cannot_be_asked_is_told_on_the_form(oidc: AuthServer) -> None:
    wrong = device_method(oidc, name="device", issuer=f"{oidc.issuer}/nowhere")
    async with beginning(wrong) as (app, pilot, _):
        await open_form(app, pilot)
        await pilot.press("enter")
        await until(pilot, lambda: "✗" in screen_text(app))
        assert isinstance(app.screen, ConnectFormScreen)


async def test_hostile_texts_of_a_plugin_are_inert() -> None:
    hostile = API_KEY.model_copy(update={"label": "[@click=app.quit]Key[/nope] [b]"})
    async with beginning(hostile) as (app, pilot, _):
        await open_form(app, pilot)
        assert "[@click=app.quit]Key[/nope] [b]" in screen_text(app)


async def test_a_plugin_is_signed_in_to_from_the_plugins_screen() -> None:
    async with beginning(API_KEY) as (app, pilot, _):
        await pilot.press("f2")
        await on_screen(app, pilot, PluginsScreen)
        await until(pilot, lambda: key_below_cursor(app) is not None)
        await pilot.press("slash")
        await until(pilot, lambda: isinstance(app.focused, Input))
        await pilot.press(*"acme")
        await until(pilot, lambda: "1 shown" in screen_text(app))
        await pilot.press("enter", "s")
        await on_screen(app, pilot, ConnectFormScreen)
        assert "Connect Acme" in screen_text(app)
        await pilot.press("escape")
        await on_screen(app, pilot, PluginsScreen)


async def test_slash_connect_and_the_palette_lead_to_the_list() -> None:
    async with beginning(API_KEY) as (app, pilot, _):
        app.chat.composer.fill("/connect")
        await pilot.press("enter")
        await on_screen(app, pilot, ConnectScreen)
        await pilot.press("escape")
        await until(pilot, lambda: app.screen is app.chat)
        titles = [command.title for command in app.get_system_commands(app.screen)]
        assert "Connect" in titles


async def test_in_safe_mode_nothing_can_be_connected_and_that_is_said() -> None:
    async with chatting(says("Hello"), plugins_off=True, ready=False) as (app, pilot):
        await until(pilot, app.host.ready.is_set)
        app.connect()
        await on_screen(app, pilot, ConnectScreen)
        await until(pilot, lambda: "Safe mode" in screen_text(app))


async def test_no_key_reaches_a_file_or_a_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    async with running_peer(BAD, GOOD) as peer, beginning(API_KEY, url=peer.url) as (app, pilot, _):
        await open_form(app, pilot)
        await give(app, pilot, KEY)
        await until(pilot, lambda: "Acme refused the key" in screen_text(app))
        await pilot.press("enter")
        await choose_first_model(app, pilot)
        await ask(app, pilot, "Are you there?")
    assert KEY not in caplog.text
    files = _files(Path(os.environ["JACKFIELD_HOME"]))
    assert files
    assert all(KEY.encode() not in content for content in files)
    assert json.dumps(KEY) not in caplog.text


def _files(folder: Path) -> list[bytes]:
    return [path.read_bytes() for path in folder.rglob("*") if path.is_file()]

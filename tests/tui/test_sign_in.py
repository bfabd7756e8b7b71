"""The sign-in screen, in front of real sign-ins at a real authorization server."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
from textual.app import App
from textual.events import Paste
from textual.pilot import Pilot
from textual.widgets import Input

from registry.errors import JackfieldError
from registry.oauth import (
    CodeSignIn,
    DeviceSignIn,
    ShowCode,
    ShowPage,
    SignedIn,
    SignInEvent,
    Waiting,
    qr_lines,
)
from screenshots.take import until
from tests.registry.oauth.servers import (
    CERTIFICATES,
    AuthServer,
    Browser,
    code_method,
    device_method,
    oidc_server,
)
from tui.connection_text import countdown
from tui.screens.sign_in import SignIn, SignInScreen
from tui.widgets.big_letters import large

SSH = {"SSH_CONNECTION": "10.0.0.1 1 10.0.0.2 22"}
WITH_DISPLAY = {"DISPLAY": ":0", "BROWSER": "none"}


class SignInApp(App[None]):
    """A sign-in screen and nothing below it."""

    outcome: object = "none yet"


@pytest.fixture(scope="module")
def oidc() -> Iterator[AuthServer]:
    with oidc_server() as server:
        yield server


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(trust_env=False, verify=CERTIFICATES) as made:
        yield made


@asynccontextmanager
async def signing_in(
    sign_in: SignIn, *, env: Mapping[str, str] = SSH, size: tuple[int, int] = (80, 24)
) -> AsyncIterator[tuple[SignInApp, Pilot[None], SignInScreen]]:
    app = SignInApp()
    app.animation_level = "none"
    async with app.run_test(size=size) as pilot:
        screen = SignInScreen("Acme", sign_in, env=env, clock=lambda: 0.0)

        def keep(outcome: object) -> None:
            app.outcome = outcome

        app.push_screen(screen, keep)
        await pilot.pause()
        yield app, pilot, screen


def text_of(app: App[None]) -> str:
    return "\n".join(strip.text for strip in app.screen._compositor.render_strips(app.size))


def url_of(screen: SignInScreen) -> str:
    return screen._url


async def ended(app: SignInApp, pilot: Pilot[None]) -> object:
    await until(pilot, lambda: app.outcome != "none yet")
    return app.outcome


async def test_the_answer_of_the_browser_ends_it(oidc: AuthServer, client: httpx.AsyncClient) -> None:
    sign_in = CodeSignIn(code_method(oidc), client)
    with Browser(oidc) as browser:
        async with signing_in(sign_in, env=WITH_DISPLAY, size=(120, 40)) as (app, pilot, screen):
            await until(pilot, lambda: url_of(screen) != "")
            shown = text_of(app)
            assert f"The page is on {oidc.issuer.removeprefix('http://')}" in shown
            assert "code_challenge_method=S256" in shown.replace("\n", "").replace(" ", "")
            assert "left" in shown
            callback = await asyncio.to_thread(browser.approve, url_of(screen))
            await asyncio.to_thread(browser.open, callback)
            outcome = await ended(app, pilot)
    assert isinstance(outcome, SignedIn)
    assert outcome.credential.token


async def test_the_address_can_be_pasted_wherever_the_focus_is(
    oidc: AuthServer, client: httpx.AsyncClient
) -> None:
    sign_in = CodeSignIn(code_method(oidc), client, loopback=False)
    with Browser(oidc) as browser:
        async with signing_in(sign_in) as (app, pilot, screen):
            await until(pilot, lambda: url_of(screen) != "")
            assert "Paste its address here" in text_of(app)
            callback = await asyncio.to_thread(browser.approve, url_of(screen))
            broken = f"{callback[:40]}\n{callback[40:]}\n"
            app.screen.post_message(Paste(broken))
            outcome = await ended(app, pilot)
    assert isinstance(outcome, SignedIn)


async def test_what_is_wrong_with_a_pasted_address_is_said(
    oidc: AuthServer, client: httpx.AsyncClient
) -> None:
    sign_in = CodeSignIn(code_method(oidc), client, loopback=False)
    async with signing_in(sign_in) as (app, pilot, screen):
        await until(pilot, lambda: url_of(screen) != "")
        await pilot.press("tab")
        assert isinstance(app.focused, Input)
        await pilot.press(*"nonsense", "enter")
        await until(pilot, lambda: str(screen.query_one("#paste-problem").render()) != "")
        await pilot.press("x")
        await until(pilot, lambda: str(screen.query_one("#paste-problem").render()) == "")
        assert app.outcome == "none yet"


async def test_what_is_wrong_with_an_address_is_said_also_when_another_place_has_the_focus(
    oidc: AuthServer, client: httpx.AsyncClient
) -> None:
    sign_in = CodeSignIn(code_method(oidc), client)
    async with signing_in(sign_in) as (app, pilot, screen):
        await until(pilot, lambda: url_of(screen) != "")
        app.screen.post_message(Paste("http://127.0.0.1:1/callback?code=1"))
        await until(pilot, lambda: screen.query_one("#paste", Input).value != "")
        await pilot.pause()
        await pilot.pause()
        assert "It is not the page that the sign-in ends on." in text_of(app)


async def test_cancelling_closes_the_port(oidc: AuthServer, client: httpx.AsyncClient) -> None:
    sign_in = CodeSignIn(code_method(oidc), client)
    async with signing_in(sign_in, env=WITH_DISPLAY) as (app, pilot, screen):
        await until(pilot, lambda: url_of(screen) != "")
        port = int(httpx.URL(httpx.URL(url_of(screen)).params["redirect_uri"]).port or 0)
        with socket.create_connection(("127.0.0.1", port), timeout=5):
            pass
        await pilot.press("escape")
        assert await ended(app, pilot) is None
        await until(pilot, lambda: not _listens(port))


def _listens(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
    except OSError:
        return False


async def test_a_refusal_is_the_outcome(oidc: AuthServer, client: httpx.AsyncClient) -> None:
    sign_in = CodeSignIn(code_method(oidc), client)
    with Browser(oidc) as browser:
        async with signing_in(sign_in) as (app, pilot, screen):
            await until(pilot, lambda: url_of(screen) != "")
            callback = await asyncio.to_thread(browser.deny, url_of(screen))
            await asyncio.to_thread(browser.open, callback)
            outcome = await ended(app, pilot)
    assert isinstance(outcome, JackfieldError)
    assert "refused" in outcome.title


async def test_a_code_is_shown_large_with_a_qr_code_and_ends_it_when_it_was_typed(
    oidc: AuthServer, client: httpx.AsyncClient
) -> None:
    sign_in = DeviceSignIn(device_method(oidc), client)
    with Browser(oidc) as browser:
        async with signing_in(sign_in, size=(120, 40)) as (app, pilot, screen):
            await until(pilot, lambda: screen._code != "")
            shown = text_of(app)
            assert all(line.rstrip() in shown for line in large(screen._code))
            address = f"{oidc.issuer}/device"
            complete = f"{address}?user_code={screen._code}"
            assert address in shown
            assert qr_lines(complete)[2].strip() in shown
            await pilot.press("c")
            assert app.clipboard == screen._code
            await pilot.press("u")
            assert app.clipboard == address
            await asyncio.to_thread(browser.approve_device, complete)
            outcome = await ended(app, pilot)
    assert isinstance(outcome, SignedIn)


class Scripted:
    """A sign-in whose events a test says, and that says when it was closed."""

    def __init__(self, *events: SignInEvent, error: JackfieldError | None = None) -> None:
        self.closed = asyncio.Event()
        self._events = events
        self._error = error

    async def events(self) -> AsyncGenerator[SignInEvent, None]:
        try:
            for event in self._events:
                yield event
            if self._error is not None:
                raise self._error
            await asyncio.Event().wait()
        finally:
            self.closed.set()


CODE = ShowCode("WDJB-MJHT", "https://acme.example/device", "https://acme.example/device?c=WDJB-MJHT", 600)


async def test_cancelling_closes_a_sign_in_in_the_middle() -> None:
    sign_in = Scripted(Waiting("Asking"), CODE)
    async with signing_in(sign_in) as (app, pilot, _):
        await until(pilot, lambda: "Waiting until the code" in text_of(app))
        await pilot.press("escape")
        await asyncio.wait_for(sign_in.closed.wait(), 10)
        assert await ended(app, pilot) is None


async def test_the_code_fits_into_eighty_by_twenty_four_beside_its_qr_code() -> None:
    async with signing_in(Scripted(CODE)) as (app, pilot, screen):
        await until(pilot, lambda: screen.has_class("-qr"))
        shown = text_of(app)
        assert "W D J B - M J H T" in shown
        assert shown.count("█▀▀▀▀▀█") >= 2
        assert "10:00 left" in shown


async def test_without_room_there_is_no_qr_code() -> None:
    async with signing_in(Scripted(CODE), size=(60, 16)) as (app, pilot, screen):
        await until(pilot, lambda: "WDJB" in screen._code)
        assert not screen.has_class("-qr")
        assert "https://acme.example/device" in text_of(app)


async def test_hostile_texts_of_a_server_are_inert() -> None:
    code = ShowCode("[b]\x1b]52;c;x\x07X[/nope]", "https://acme.example/[/d]", None, 60)
    page = Waiting("[@click=app.quit]\x1b[2J wait[/]")
    async with signing_in(Scripted(code, page)) as (app, pilot, _):
        await until(pilot, lambda: "[@click=app.quit] wait[/]" in text_of(app))
        shown = text_of(app)
        assert "\x1b" not in shown
        assert "https://acme.example/[/d]" in shown


async def test_a_failure_in_the_middle_is_the_outcome() -> None:
    sign_in = Scripted(CODE, error=JackfieldError("The code has expired", hint="Sign in again."))
    async with signing_in(sign_in) as (app, pilot, _):
        outcome = await ended(app, pilot)
    assert isinstance(outcome, JackfieldError)
    assert outcome.title == "The code has expired"


async def test_enter_opens_the_browser_only_with_a_display(tmp_path: Path) -> None:
    opened = tmp_path / "opened"
    browser = tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\necho "$1" > {opened}\n')
    browser.chmod(0o755)
    page = ShowPage("https://acme.example/authorize?x=1", "acme.example", listening=True, lasts_s=300)
    environment = {"BROWSER": str(browser), "PATH": "/usr/bin:/bin"}
    async with signing_in(Scripted(page), env={**environment, **SSH}) as (app, pilot, _):
        await until(pilot, lambda: "acme.example" in text_of(app))
        await pilot.press("enter")
        assert "Enter opens" not in text_of(app)
        assert not opened.exists()
    async with signing_in(Scripted(page), env={**environment, "DISPLAY": ":0"}) as (app, pilot, _):
        await until(pilot, lambda: "Enter opens it in your browser" in text_of(app))
        await pilot.press("enter")
        await until(pilot, lambda: opened.exists() and opened.read_text() != "")
    assert opened.read_text().strip() == "https://acme.example/authorize?x=1"


def test_the_time_that_is_left_is_in_minutes_and_seconds() -> None:
    assert [countdown(seconds) for seconds in (600, 299.7, 59, 0.2, -3)] == [
        "10:00",
        "5:00",
        "0:59",
        "0:00",
        "0:00",
    ]

"""A provider with every way to sign in, accounts at it, and sign-ins that stand still: for the pictures."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from typing import TYPE_CHECKING, Final

from jackfield import (
    ChatRequest,
    Credential,
    ErrorKind,
    Finished,
    Model,
    Plugin,
    Provider,
    ProviderError,
    Started,
    StreamEvent,
)

if TYPE_CHECKING:
    from jackfield import AuthMethod
    from registry.oauth import SignInEvent
    from tui.app import JackfieldApp

NOW: Final = 1_795_000_000.0
"""When the accounts are looked at, in Unix seconds."""
_DAY_S: Final = 86_400


class Patchbay(Provider):
    """Takes no key: it refuses, or never answers.

    Args:
        refuses: whether it refuses.
    """

    name = "patchbay"
    title = "Patchbay"
    known_models = (Model("grand", "Patchbay Grand"),)

    def __init__(self, *, refuses: bool) -> None:
        self._refuses = refuses

    async def models(self, credential: Credential | None) -> Sequence[Model]:
        """None, after a refusal or never."""
        if not self._refuses:
            await asyncio.Event().wait()
        raise ProviderError(
            ErrorKind.AUTH,
            "Patchbay refused the key",
            detail="Incorrect API key provided. You can find yours in the settings of your account.",
            hint="Copy it again, whole.",
        )

    async def stream(self, request: ChatRequest, credential: Credential | None) -> AsyncIterator[StreamEvent]:
        """Nothing."""
        yield Started()
        yield Finished()


class PatchbayPlugin(Plugin):
    """Signs in with a key, a form, a page and a code.

    Args:
        refuses: whether the provider refuses what it is given; else it never answers.
        only_key: whether a key is the only way.
    """

    name = "patchbay"
    version = "1.2.0"
    summary = "Models of a workshop, at their place or at yours"

    def __init__(self, *, refuses: bool = True, only_key: bool = False) -> None:
        self._provider = Patchbay(refuses=refuses)
        self._only_key = only_key

    def auth_methods(self) -> Sequence[AuthMethod]:
        """The four, or the first."""
        methods = _methods()
        return methods[:1] if self._only_key else methods

    def providers(self) -> Sequence[Provider]:
        """The one."""
        return (self._provider,)


def _methods() -> tuple[AuthMethod, ...]:
    from jackfield import ApiKey, Form, FormField, OAuthCode, OAuthDevice, Option, When

    server = FormField(
        name="server",
        kind="select",
        label="Server",
        default="own",
        options=(Option(value="theirs", label="Patchbay's"), Option(value="own", label="My own")),
    )
    address = FormField(
        name="address",
        kind="url",
        label="Address",
        help="Where your server answers",
        placeholder="https://patchbay.example.org",
        when=When(field="server", equals="own"),
    )
    return (
        ApiKey(
            env=("PATCHBAY_API_KEY",),
            key_url="https://patchbay.example/account/keys",
            help_url="https://patchbay.example/docs",
        ),
        Form(
            name="server",
            label="My own server",
            fields=(
                server,
                address,
                FormField(name="password", kind="secret", label="Password", minimum=8),
                FormField(name="beta", kind="boolean", label="Offer models that are not finished"),
            ),
        ),
        OAuthCode(
            name="browser",
            client_id="jackfield",
            authorization_endpoint="https://patchbay.example/authorize",
            token_endpoint="https://patchbay.example/token",  # noqa: S106 - an address
        ),
        OAuthDevice(
            name="device",
            client_id="jackfield",
            device_authorization_endpoint="https://patchbay.example/device/code",
            token_endpoint="https://patchbay.example/token",  # noqa: S106 - an address
        ),
    )


class StandingSignIn:
    """A sign-in that shows what it is given and then waits.

    Args:
        event: what it shows.
    """

    def __init__(self, event: SignInEvent) -> None:
        self._event = event

    async def events(self) -> AsyncGenerator[SignInEvent, None]:
        """The one event."""
        yield self._event
        await asyncio.Event().wait()

    def paste(self, text: str) -> str:
        """Takes nothing."""
        return "Nothing is being waited for."


def page() -> SignInEvent:
    """The page of a sign-in."""
    from registry.oauth import ShowPage

    url = (
        "https://patchbay.example/authorize?response_type=code&client_id=jackfield"
        "&redirect_uri=http%3A%2F%2F127.0.0.1%3A49321%2Fcallback&scope=models.read+chat.write"
        "&state=Zm9yIHRoZSBwaWN0dXJl&code_challenge=bm90aGluZyBpcyBzZWNyZXQgaGVyZQ&code_challenge_method=S256"
    )
    return ShowPage(url, "patchbay.example", listening=True, lasts_s=300)


def code() -> SignInEvent:
    """The code of a sign-in."""
    from registry.oauth import ShowCode

    address = "https://patchbay.example/device"
    return ShowCode("WDJB-MJHT", address, f"{address}?user_code=WDJB-MJHT", 600)


async def add_accounts(app: JackfieldApp) -> None:
    """Three accounts at two providers."""
    from pydantic import SecretStr

    from jackfield import ApiKey, OAuthDevice
    from registry.auth import OAuthGrant
    from registry.connections import Connections
    from registry.secret_store import StoreKind

    stores = app.host.stores
    stores.chosen = StoreKind.SESSION
    then = NOW - 40 * _DAY_S
    connections = Connections(app.host.registry, app.host.paths, stores, clock=lambda: then)
    app.host.connections = connections
    key, device = _methods()[0], _methods()[3]
    assert isinstance(key, ApiKey)
    assert isinstance(device, OAuthDevice)
    grant = OAuthGrant(client_id="jackfield", token_endpoint=device.token_endpoint)
    signed_in = Credential(
        secrets={"access_token": SecretStr("-"), "refresh_token": SecretStr("-")},
        expires_at=NOW + 3600,
        scopes=("models.read", "chat.write"),
        grant=grant,
    )
    await connections.add("anthropic", key, Credential(secrets={"key": SecretStr("-")}), label="home")
    await connections.add("patchbay", key, Credential(secrets={"key": SecretStr("-")}), label="old key")
    lasting = Credential(secrets={"access_token": SecretStr("-")}, expires_at=NOW + 12 * _DAY_S)
    await connections.add("patchbay", device, lasting, label="workshop")
    await connections.add("patchbay", device, signed_in, label="studio")

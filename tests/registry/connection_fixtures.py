"""What tests of connections share: a plugin with every way to sign in, and where its connections are kept."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from functools import partial
from typing import Any

from pydantic import SecretStr

from jackfield import (
    ApiKey,
    AuthMethod,
    ChatRequest,
    Credential,
    Finished,
    Model,
    NoAuth,
    OAuthCode,
    Plugin,
    Provider,
    StreamEvent,
    TextDelta,
)
from registry.auth import OAuthGrant
from registry.connections import Connections
from registry.encrypted_file_store import EncryptedFileStore
from registry.http import create_client
from registry.paths import Paths, find_paths
from registry.registry import PluginRegistry
from registry.secret_store import SecretStores, StoreKind

KEY = ApiKey(name="key", env=("SERVICE_KEY", "OLD_SERVICE_KEY"))
PAGE = OAuthCode(name="page", client_id="c", issuer="https://accounts.example")
PASSPHRASE = "a passphrase of the tests"


class Service(Provider):
    name = "service"
    title = "Service"

    def __init__(self) -> None:
        self.listed_with: list[Credential | None] = []
        self.fault: Exception | None = None

    async def models(self, credential: Credential | None) -> Sequence[Model]:
        self.listed_with.append(credential)
        if self.fault is not None:
            raise self.fault
        return [Model("one")]

    async def stream(self, request: ChatRequest, credential: Credential | None) -> AsyncIterator[StreamEvent]:
        yield TextDelta("" if credential is None else credential.token)
        yield Finished()


class ServicePlugin(Plugin):
    name = "service"
    version = "1"

    def __init__(self) -> None:
        self.service = Service()

    def auth_methods(self) -> Sequence[AuthMethod]:
        return [NoAuth(name="none"), KEY, PAGE]

    def providers(self) -> Sequence[Provider]:
        return [self.service]


class OtherPlugin(Plugin):
    name = "another"
    version = "1"

    def auth_methods(self) -> Sequence[AuthMethod]:
        return [ApiKey(env=("ANOTHER_KEY",))]


async def make_cheap_file() -> None:
    """An encrypted file whose key costs nothing to derive, which stores then go on with."""
    store = EncryptedFileStore(find_paths().data / "secrets.encrypted", PASSPHRASE, work=2**10)
    await store.set("tests", "first", "so that the file is made")


def make_registry(paths: Paths, *plugins: Plugin) -> PluginRegistry:
    """A registry with the service's plugin, or with others."""
    registry = PluginRegistry(paths)
    for plugin in plugins or (OtherPlugin(), ServicePlugin()):
        registry.register(plugin)
    return registry


def make_connections(
    store: StoreKind = StoreKind.FILE,
    *,
    paths: Paths | None = None,
    env: Mapping[str, str] | None = None,
    registry: PluginRegistry | None = None,
    stores: SecretStores | None = None,
    clock: Callable[[], float] | None = None,
    complain: Callable[[Any], None] | None = None,
) -> Connections:
    """The connections of the app home, as one process has them. Each call is like another process."""
    paths = paths or find_paths()
    stores = stores or SecretStores(paths, store, env={"JACKFIELD_PASSPHRASE": PASSPHRASE})
    options: dict[str, Any] = {"clock": clock} if clock else {}
    return Connections(
        registry or make_registry(paths),
        paths,
        stores,
        env=env or {},
        http=partial(create_client, local=True),
        complain=complain,
        **options,
    )


def key(text: str) -> Credential:
    """What an `ApiKey` gives."""
    return Credential(secrets={"key": SecretStr(text)})


def tokens(
    access: str = "access-one",
    *,
    url: str = "https://accounts.example",
    refresh: str | None = "refresh-one",
    expires_at: float | None = None,
    revocation: bool = True,
) -> Credential:
    """What an `OAuthCode` gives, of a server at this address."""
    secrets = {"access_token": SecretStr(access)}
    if refresh is not None:
        secrets["refresh_token"] = SecretStr(refresh)
    grant = OAuthGrant(
        client_id="c",
        token_endpoint=f"{url}/token",
        revocation_endpoint=f"{url}/revoke" if revocation else "",
    )
    return Credential(secrets=secrets, expires_at=expires_at, grant=grant)

"""A provider with every way to sign in, whose server is a peer on the loopback."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

from jackfield import (
    ApiKey,
    AuthMethod,
    ChatRequest,
    Credential,
    ErrorKind,
    Finished,
    Form,
    FormField,
    Model,
    Option,
    Plugin,
    Provider,
    ProviderError,
    Started,
    StreamEvent,
    TextDelta,
    When,
)

KEY = "acme-key-1234567890"
API_KEY = ApiKey(
    env=("ACME_TEST_KEY",),
    key_url="https://acme.example/account/keys",
    help_url="https://acme.example/docs",
)
WORKSHOP = Form(
    name="workshop",
    label="Own server",
    fields=(
        FormField(
            name="kind",
            kind="select",
            label="Server",
            default="cloud",
            options=(Option(value="cloud", label="At Acme"), Option(value="own", label="My own")),
        ),
        FormField(
            name="region",
            kind="select",
            label="Region",
            default="eu",
            options=(Option(value="eu", label="Europe"), Option(value="us", label="America")),
            when=When(field="kind", equals="cloud"),
        ),
        FormField(
            name="address",
            kind="url",
            label="Address",
            help="Where your server answers",
            placeholder="https://acme.example.org",
            when=When(field="kind", equals="own"),
        ),
        FormField(name="password", kind="secret", label="Password", minimum=8),
        FormField(name="timeout", kind="number", label="Timeout", default=30, minimum=1, maximum=600),
        FormField(
            name="tools",
            kind="multi_select",
            label="Tools",
            required=False,
            options=(Option(value="search"), Option(value="maps"), Option(value="files")),
        ),
        FormField(name="beta", kind="boolean", label="Try new models first"),
    ),
)


class AcmeProvider(Provider):
    """Answers to its key, to any password, and to what OAuth gave."""

    name = "acme"
    title = "Acme"
    known_models = (Model("anvil-1", "Anvil 1"),)

    def __init__(self, url: str = "") -> None:
        self.url = url
        self.seen: list[Credential | None] = []
        """What it was asked with."""

    async def models(self, credential: Credential | None) -> Sequence[Model]:
        """Asks the peer, if there is one."""
        self.seen.append(credential)
        if self.url:
            from registry.http import create_client

            token = credential.token if credential is not None else ""
            await _ask(create_client(local=True), f"{self.url}/models", token)
        return (*self.known_models, Model("anvil-2", "Anvil 2"))

    async def stream(self, request: ChatRequest, credential: Credential | None) -> AsyncIterator[StreamEvent]:
        """Says that it is signed in to."""
        yield Started()
        yield TextDelta("Signed in." if credential is not None else "Nobody signed in.")
        yield Finished()


async def _ask(client: object, url: str, token: str) -> None:
    import httpx

    assert isinstance(client, httpx.AsyncClient)
    async with client:
        try:
            answer = await client.get(url, headers={"authorization": f"Bearer {token}".strip()})
        except httpx.TransportError as error:
            raise ProviderError(
                ErrorKind.CONNECTION,
                "Acme cannot be reached",
                detail=str(error),
                hint="Is there a network?",
            ) from error
    if answer.status_code == 401:
        said = answer.json()["error"]["message"]
        raise ProviderError(ErrorKind.AUTH, "Acme refused the key", detail=said, hint="Copy it again.")


class AcmePlugin(Plugin):
    """Signs in to Acme as it is told to."""

    name = "acme"
    version = "1.0.0"
    summary = "Anvils of all sizes"

    def __init__(self, *methods: AuthMethod, url: str = "", name: str = "acme") -> None:
        self.name = name
        self._methods = methods
        self.provider = AcmeProvider(url)
        self.provider.name = name
        self.provider.title = name.title()

    def auth_methods(self) -> Sequence[AuthMethod]:
        """As given."""
        return self._methods

    def providers(self) -> Sequence[Provider]:
        """The one."""
        return (self.provider,)

"""Anthropic: Claude models over the Messages API.

The address and the version of the API can be set in config.toml, for servers that speak the same dialect:

```toml
[plugins.anthropic.options]
base_url = "https://gateway.example"
api_version = "2023-06-01"
```
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from typing import TYPE_CHECKING, Final

from jackfield import Capabilities, ErrorKind, Model, Parameter, Plugin, Provider, ProviderError
from providers.wire.anthropic_abilities import KNOWN_MODELS, Abilities, known_abilities, read_model
from providers.wire.hosted import HostedServer, key_of

if TYPE_CHECKING:
    from jackfield import AuthMethod, ChatRequest, Credential, PluginContext, StreamEvent
    from providers.wire.anthropic_parameters import Fields

KEY_VARIABLE: Final = "ANTHROPIC_API_KEY"
_KEY_URL: Final = "https://platform.claude.com/settings/keys"
_URL: Final = "https://api.anthropic.com"
_URL_VARIABLE: Final = "ANTHROPIC_BASE_URL"
_VERSION: Final = "2026-10-21"
_VERSION_COMPATIBLE: Final = "2023-06-01"
"""What other servers know, and the only version that takes a temperature."""
_PAGE: Final = 1000
_MOST_PAGES: Final = 20
_UNBOUND: Final = "bound to a different conversation"
"""How the server refuses a thought that does not fit the conversation before it."""


class AnthropicPlugin(Plugin):
    """Offers Anthropic's models."""

    name = "anthropic"
    version = "0.1.0"
    summary = "Claude models from Anthropic, with an API key"
    capabilities = Capabilities(hosts=("api.anthropic.com",))

    def __init__(self) -> None:
        self._provider = AnthropicProvider()

    def on_init(self, ctx: PluginContext) -> None:
        """Take the options."""
        self._provider.use(ctx)

    def auth_methods(self) -> Sequence[AuthMethod]:
        """An API key; Anthropic allows no other sign-in to other applications."""
        from jackfield import ApiKey  # brings pydantic with it

        return (
            ApiKey(
                label="API key",
                env=(KEY_VARIABLE,),
                key_url=_KEY_URL,
                help_url="https://platform.claude.com/docs/en/api/overview",
            ),
        )

    def providers(self) -> Sequence[Provider]:
        """Anthropic."""
        return (self._provider,)


class AnthropicProvider(Provider):
    """Answers over the Messages API."""

    name = "anthropic"
    title = "Anthropic"
    known_models = KNOWN_MODELS

    def __init__(self) -> None:
        self._server = HostedServer(self.title, _URL, url_env=_URL_VARIABLE)
        self._abilities: dict[str, Abilities | None] = {}

    def use(self, ctx: PluginContext) -> None:
        """Take the plugin's corner, without which nothing can be asked."""
        self._server.use(ctx)

    async def models(self, credential: Credential | None) -> Sequence[Model]:
        """The models of the account; the known ones while no key is there to ask with.

        Raises:
            ProviderError: they could not be listed.
        """
        if credential is None or "key" not in credential.secrets:
            return self.known_models
        headers = self._headers(credential, self._version(None))
        models: dict[str, Model] = {}
        after = ""
        for _ in range(_MOST_PAGES):
            page = await self._page(headers, after)
            for item in _objects(page.get("data")):
                if (read := read_model(item)) is not None:
                    models[read[0].id], self._abilities[read[0].id] = read
            last = page.get("last_id")
            if page.get("has_more") is not True or not isinstance(last, str) or last == after:
                break
            after = last
        return tuple(models.values()) or self.known_models

    async def parameters(self, model: Model) -> Sequence[Parameter]:
        """Length, effort, and a temperature for those models that still take one."""
        from providers.wire.anthropic_parameters import accepted

        return accepted(model, self._abilities_of(model.id))

    async def stream(
        self, request: ChatRequest, credential: Credential | None
    ) -> AsyncGenerator[StreamEvent]:
        """Answer a request; with `Progress` while the server is busy and is asked again.

        Raises:
            ProviderError: there is no key, or the server refused or broke off.
        """
        given = False
        try:
            async with aclosing(self._answer(request, credential, replay_thinking=True)) as events:
                async for event in events:
                    given = True
                    yield event
            return
        except ProviderError as error:
            if given or _UNBOUND not in error.detail:
                raise
        # The server sees more of a conversation than its text; without its thoughts it has nothing to refuse.
        async with aclosing(self._answer(request, credential, replay_thinking=False)) as events:
            async for event in events:
                yield event

    async def _answer(
        self, request: ChatRequest, credential: Credential | None, *, replay_thinking: bool
    ) -> AsyncGenerator[StreamEvent]:
        from providers.wire.anthropic_messages import build_conversation, stream_messages
        from providers.wire.anthropic_parameters import request_fields
        from providers.wire.retry import retrying

        fields = request_fields(request, self._abilities_of(request.model))
        conversation = build_conversation(request, replay_thinking=replay_thinking)
        body = {**fields.body, "model": request.model, "messages": conversation.messages, "stream": True}
        if conversation.system:
            body["system"] = conversation.system
        url = f"{self._address}/v1/messages"
        headers = {
            **self._headers(credential, self._version(fields)),
            "accept": "text/event-stream",
        }
        details = {"left_out": ", ".join(fields.left_out)} if fields.left_out else {}
        client = await self._server.opened()

        def ask() -> AsyncGenerator[StreamEvent]:
            return stream_messages(
                client,
                url,
                body,
                name=self.title,
                headers=headers,
                prefix=conversation.mark,
                details=details,
            )

        async with aclosing(retrying(ask, name=self.title)) as events:
            async for event in events:
                yield event

    def _abilities_of(self, model: str) -> Abilities | None:
        return self._abilities[model] if model in self._abilities else known_abilities(model)

    async def _page(self, headers: Mapping[str, str], after: str) -> Mapping[str, object]:
        from providers.wire.errors import make_error
        from providers.wire.transport import get_json

        page = await get_json(
            await self._server.opened(),
            f"{self._address}/v1/models",
            name=self.title,
            headers=headers,
            params={"limit": _PAGE, **({"after_id": after} if after else {})},
        )
        if not isinstance(page, dict):
            raise make_error(ErrorKind.PROTOCOL, self.title, detail="The list of models is none.")
        return page

    def _headers(self, credential: Credential | None, version: str) -> dict[str, str]:
        key = key_of(credential, title=self.title, env=KEY_VARIABLE, key_url=_KEY_URL)
        return {"x-api-key": key, "anthropic-version": version}

    def _version(self, fields: Fields | None) -> str:
        """The newest for Anthropic itself, unless it would refuse the request; else the one that all know."""
        if chosen := self._server.option("api_version"):
            return chosen
        newest = self._server.is_usual and not (fields is not None and fields.samples)
        return _VERSION if newest else _VERSION_COMPATIBLE

    @property
    def _address(self) -> str:
        """The server's address, as it is or with the `/v1` that other clients want at its end."""
        return self._server.url.removesuffix("/v1")


def _objects(value: object) -> Sequence[Mapping[str, object]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else ()

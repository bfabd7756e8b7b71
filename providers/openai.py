"""OpenAI, through the Responses API.

Options in config.toml:

```toml
[plugins.openai.options]
base_url = "https://api.openai.com/v1"   # any server that speaks the Responses dialect
organization = "org-..."
project = "proj_..."
```
"""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from jackfield import Capabilities, ErrorKind, Model, Parameter, Plugin, Provider, ProviderError, safe_text
from providers.wire.hosted import HostedServer, key_of

if TYPE_CHECKING:
    from jackfield import AuthMethod, ChatRequest, Credential, PluginContext, StreamEvent

URL: Final = "https://api.openai.com/v1"
ENV: Final = "OPENAI_API_KEY"
KEY_URL: Final = "https://platform.openai.com/api-keys"

_MOST_MODELS: Final = 1000
_SEES: Final = ("text", "image", "file")


def _thinker(model_id: str, name: str, window: int | None = None) -> Model:
    return Model(model_id, name, window, 128_000, _SEES, reasoning=True, tools=True)


# Where sources disagree about the context window, it is left out.
MODELS: Final = (
    _thinker("gpt-6.1-sol", "GPT-6.1 Sol"),
    _thinker("gpt-6.1-terra", "GPT-6.1 Terra"),
    _thinker("gpt-6-astra", "GPT-6 Astra"),
    _thinker("gpt-6-sol", "GPT-6 Sol"),
    _thinker("gpt-6-luna", "GPT-6 Luna"),
    _thinker("gpt-5.6-sol", "GPT-5.6 Sol"),
    _thinker("gpt-5.6-terra", "GPT-5.6 Terra"),
    _thinker("gpt-5.6-luna", "GPT-5.6 Luna"),
    _thinker("gpt-5.5", "GPT-5.5"),
    _thinker("gpt-5.4", "GPT-5.4"),
    _thinker("gpt-5.4-mini", "GPT-5.4 mini", 400_000),
    _thinker("gpt-5.4-nano", "GPT-5.4 nano", 400_000),
    _thinker("gpt-5.2", "GPT-5.2", 400_000),
    _thinker("gpt-5.1", "GPT-5.1", 400_000),
    _thinker("gpt-5", "GPT-5", 400_000),
    _thinker("gpt-5-mini", "GPT-5 mini", 400_000),
    Model("gpt-4.1", "GPT-4.1", 1_047_576, 32_768, _SEES, tools=True),
    Model("gpt-4.1-mini", "GPT-4.1 mini", 1_047_576, 32_768, _SEES, tools=True),
    Model("gpt-4o", "GPT-4o", 128_000, 16_384, _SEES, tools=True),
)

_CHATS: Final = re.compile(r"(ft:)?(gpt-|o\d|chatgpt-|chat-|codex-)")
"""Names of models that chat; the list holds every model there is, and says nothing of what they do."""
_CHATS_NOT: Final = re.compile(
    r"audio|realtime|transcribe|tts|whisper|image|dall-e|sora|embedding|moderation|instruct|search|live"
    r"|translate|babbage|davinci"
)
_REASONS: Final = re.compile(r"(ft:)?(o\d|gpt-([5-9]|\d\d)|chat-latest|codex-|gpt-oss|gpt-daybreak)")
_REASONS_NOT: Final = re.compile(r"(ft:)?(gpt-[34]|gpt-5-chat|chatgpt-)")
# How hard a model can think, by the first pattern that fits its name.
_EFFORTS: Final[tuple[tuple[re.Pattern[str], tuple[str, ...]], ...]] = (
    (re.compile(r"(ft:)?(o\d|codex-|gpt-oss)"), ("low", "medium", "high")),
    (re.compile(r"(ft:)?gpt-5(-\d|-mini|-nano|-codex|$)"), ("minimal", "low", "medium", "high")),
    (re.compile(r"(ft:)?gpt-5\.1"), ("none", "low", "medium", "high")),
    (re.compile(r"(ft:)?gpt-5\.[2-5]"), ("none", "low", "medium", "high", "xhigh")),
)
_ALL_EFFORTS: Final = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
_SNAPSHOT: Final = re.compile(r"-\d{4}-\d\d-\d\d$")
_NO_SUMMARY: Final = re.compile(r"reasoning[._ ]summar", re.IGNORECASE)


class OpenAIPlugin(Plugin):
    """Offers the models of OpenAI."""

    name = "openai"
    version = "0.1.0"
    summary = "GPT models from OpenAI, with your own API key"
    capabilities = Capabilities(hosts=("api.openai.com",))

    def __init__(self) -> None:
        self._provider = OpenAIProvider()

    def on_init(self, ctx: PluginContext) -> None:
        """Take the options that the user set."""
        self._provider.use(ctx)

    def auth_methods(self) -> Sequence[AuthMethod]:
        """An API key."""
        from jackfield import ApiKey  # pydantic is heavy, and not needed to answer

        return (ApiKey(label="API key", env=(ENV,), key_url=KEY_URL, help_url="https://platform.openai.com"),)

    def providers(self) -> Sequence[Provider]:
        """One provider."""
        return (self._provider,)


class OpenAIProvider(Provider):
    """Answers with the models of OpenAI, or of another server that speaks the Responses dialect."""

    name = "openai"
    title = "OpenAI"
    known_models = MODELS

    def __init__(self) -> None:
        self._server = HostedServer(self.title, URL, url_env="OPENAI_BASE_URL", reasoning=True)
        self._summary: str | None = "auto"

    def use(self, ctx: PluginContext) -> None:
        """Take the plugin's corner, without which no request can be answered."""
        self._server.use(ctx)

    async def models(self, credential: Credential | None) -> Sequence[Model]:
        """The models that this account may chat with, the newest first; without a credential, the known ones.

        Raises:
            ProviderError: they could not be listed.
        """
        from providers.wire.transport import get_json

        if credential is None:
            return self.known_models
        headers = self._headers(credential)
        client = await self._server.opened()
        body = await get_json(client, f"{self._server.url}/models", name=self.title, headers=headers)
        return read_models(body, everything=not self._server.is_usual)

    async def parameters(self, model: Model) -> Sequence[Parameter]:
        """Length, and an effort for a model that thinks or a temperature for one that does not."""
        from providers.wire.openai_responses import LEAST_OUTPUT

        limit = Parameter.max_tokens(model.output_limit, least=LEAST_OUTPUT)
        if _thinks(model.id):
            return (limit, Parameter.effort(efforts_of(model.id)))
        return (Parameter.temperature(), limit)

    async def stream(
        self, request: ChatRequest, credential: Credential | None
    ) -> AsyncGenerator[StreamEvent]:
        """Answer a request.

        Raises:
            ProviderError: there is no key, or the server refused or broke off.
        """
        from jackfield import Progress  # the events of a chat take long to import, and are not needed before

        headers = self._headers(credential)
        given = False
        try:
            async with aclosing(self._answer(request, headers)) as events:
                async for event in events:
                    given = given or not isinstance(event, Progress)
                    yield event
            return
        except ProviderError as error:
            refused = error.kind is ErrorKind.BAD_REQUEST and _NO_SUMMARY.search(error.detail)
            if given or not refused or self._summary is None:
                raise
        self._summary = None  # accounts that were not verified may think, but not be told what was thought
        async with aclosing(self._answer(request, headers)) as events:
            async for event in events:
                yield event

    async def _answer(self, request: ChatRequest, headers: Mapping[str, str]) -> AsyncGenerator[StreamEvent]:
        from providers.wire.openai_responses import left_out, request_body, stream_responses
        from providers.wire.retry import retrying

        client = await self._server.opened()
        body = request_body(request, reasons=reasons(request), summary=self._summary)
        url = f"{self._server.url}/responses"
        unused = left_out(request, body)
        details = {"left_out": ", ".join(unused)} if unused else {}

        def ask() -> AsyncGenerator[StreamEvent]:
            return stream_responses(client, url, body, name=self.title, headers=headers, details=details)

        async with aclosing(retrying(ask, name=self.title)) as events:
            async for event in events:
                yield event

    def _headers(self, credential: Credential | None) -> dict[str, str]:
        key = key_of(credential, title=self.title, env=ENV, key_url=KEY_URL)
        headers = {
            "Authorization": f"Bearer {key}",
            "OpenAI-Organization": self._server.option("organization"),
            "OpenAI-Project": self._server.option("project"),
        }
        return {name: value for name, value in headers.items() if value}


def reasons(request: ChatRequest) -> bool:
    """Whether a model thinks before it answers: by its name, or because the user asked for an effort."""
    if _REASONS_NOT.match(request.model):
        return False
    return _thinks(request.model) or "effort" in request.parameters


def efforts_of(model_id: str) -> tuple[str, ...]:
    """The words for an effort that a model takes, as its name tells; all of them if it does not."""
    return next((efforts for pattern, efforts in _EFFORTS if pattern.match(model_id)), _ALL_EFFORTS)


def _thinks(model_id: str) -> bool:
    return _REASONS.match(model_id) is not None and not _REASONS_NOT.match(model_id)


def read_models(body: object, *, everything: bool = False) -> tuple[Model, ...]:
    """The models in the answer to `GET /models` that chat, the newest first.

    Args:
        body: the decoded answer; none are found in anything else.
        everything: whether names that are not OpenAI's count too.
    """
    items = body.get("data") if isinstance(body, dict) else None
    listed = [item for item in items if isinstance(item, dict)] if isinstance(items, list) else []
    listed.sort(key=lambda item: -_created(item))
    models: dict[str, Model] = {}
    for item in listed[:_MOST_MODELS]:
        model_id = item.get("id")
        # An id goes back to the server as it is, so one that could not be shown as it is is left out.
        if not isinstance(model_id, str) or safe_text(model_id, single_line=True, limit=200) != model_id:
            continue
        if model_id and (everything or _CHATS.match(model_id)) and not _CHATS_NOT.search(model_id):
            models[model_id] = _described(model_id)
    return tuple(models.values())


def _described(model_id: str) -> Model:
    """What is known of a model; the list tells nothing but its name. A snapshot is like its family."""
    family = _SNAPSHOT.sub("", model_id)
    known = next((model for model in MODELS if model.id == family), None)
    if known is None:
        return Model(model_id, reasoning=_thinks(model_id))
    dated = model_id.removeprefix(family).lstrip("-")
    return replace(known, id=model_id, name=f"{known.name} ({dated})" if dated else known.name)


def _created(item: Mapping[str, object]) -> int:
    created = item.get("created")
    return created if isinstance(created, int) else 0

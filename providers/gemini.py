"""Google Gemini, through `streamGenerateContent`.

Options in config.toml:

```toml
[plugins.gemini.options]
base_url = "https://generativelanguage.googleapis.com/v1beta"
```
"""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from jackfield import Capabilities, ErrorKind, Model, Parameter, Plugin, Provider, ProviderError, safe_text
from providers.wire.hosted import HostedServer, key_of

if TYPE_CHECKING:
    from jackfield import AuthMethod, ChatRequest, Credential, PluginContext, StreamEvent

# Not v1: it lacks the names that end in "latest", and some previews.
URL: Final = "https://generativelanguage.googleapis.com/v1beta"
ENV: Final = ("GEMINI_API_KEY", "GOOGLE_API_KEY")
KEY_URL: Final = "https://aistudio.google.com/apikey"

_SEES: Final = ("text", "image", "file")
_MOST_PAGES: Final = 20
_VERSIONED: Final = re.compile(r"/v\d+(alpha|beta)?\d*$")


def _model(model_id: str, name: str, output_limit: int = 65_536) -> Model:
    return Model(model_id, name, 1_048_576, output_limit, _SEES, reasoning=True, tools=True)


MODELS: Final = (
    _model("gemini-4-argon", "Gemini 4 Argon", 32_768),
    _model("gemini-3.8-flash", "Gemini 3.8 Flash"),
    _model("gemini-3.7-flash", "Gemini 3.7 Flash"),
    _model("gemini-3.6-flash", "Gemini 3.6 Flash"),
    _model("gemini-3.5-flash", "Gemini 3.5 Flash"),
    _model("gemini-3.5-flash-lite", "Gemini 3.5 Flash Lite"),
    _model("gemini-3.1-pro-preview", "Gemini 3.1 Pro Preview"),
    _model("gemini-3.1-flash-lite", "Gemini 3.1 Flash Lite"),
    _model("gemini-2.5-pro", "Gemini 2.5 Pro"),
    _model("gemini-2.5-flash", "Gemini 2.5 Flash"),
    _model("gemini-2.5-flash-lite", "Gemini 2.5 Flash-Lite"),
)

_CHATS_NOT: Final = re.compile(r"tts|image|audio|live|embedding|aqa|veo|lyria|robotics|computer-use")
"""Names of models that generate content and yet do not chat."""
_SIGNS_CALLS: Final = re.compile(r"gemini-(?![12]\b)")
"""From the third generation on a call without a signature is refused."""

# How hard a model thinks: an effort's level or budget, by the first pattern that fits the model's name.
_THREE_LEVELS: Final = {
    **dict.fromkeys(("none", "minimal", "low"), "LOW"),
    "medium": "MEDIUM",
    **dict.fromkeys(("high", "xhigh", "max"), "HIGH"),
}
_FOUR_LEVELS: Final = {**_THREE_LEVELS, "none": "MINIMAL", "minimal": "MINIMAL"}
_TWO_LEVELS: Final = {
    **dict.fromkeys(("none", "minimal", "low"), "MINIMAL"),
    **dict.fromkeys(("medium", "high", "xhigh", "max"), "HIGH"),
}
_PRO_BUDGETS: Final = {
    **dict.fromkeys(("none", "minimal"), 128),
    "low": 2048,
    "medium": 8192,
    **dict.fromkeys(("high", "xhigh", "max"), 32_768),
}
_FLASH_BUDGETS: Final = {
    "none": 0,
    "minimal": 512,
    "low": 2048,
    "medium": 8192,
    **dict.fromkeys(("high", "xhigh", "max"), 24_576),
}
_THINKING: Final[tuple[tuple[re.Pattern[str], Mapping[str, str | int]], ...]] = (
    (re.compile(r"gemini-(1|2\.0)|gemma-[123]|.*(tts|image|live|embedding|aqa)"), {}),
    (re.compile(r"gemini-2\.5-pro"), _PRO_BUDGETS),
    (re.compile(r"gemini-2\.5"), _FLASH_BUDGETS),
    (re.compile(r"gemini-(3-flash|3\.[0-6]-flash|flash-)"), _FOUR_LEVELS),
    (re.compile(r"gemini-"), _THREE_LEVELS),
    (re.compile(r"gemma-"), _TWO_LEVELS),
)


class GeminiPlugin(Plugin):
    """Offers the models of Google Gemini."""

    name = "gemini"
    version = "0.1.0"
    summary = "Gemini models from Google, with your own API key"
    capabilities = Capabilities(hosts=("generativelanguage.googleapis.com",))

    def __init__(self) -> None:
        self._provider = GeminiProvider()

    def on_init(self, ctx: PluginContext) -> None:
        """Take the options that the user set."""
        self._provider.use(ctx)

    def auth_methods(self) -> Sequence[AuthMethod]:
        """An API key."""
        from jackfield import ApiKey  # pydantic is heavy, and not needed to answer

        return (ApiKey(label="API key", env=ENV, key_url=KEY_URL, help_url="https://ai.google.dev"),)

    def providers(self) -> Sequence[Provider]:
        """One provider."""
        return (self._provider,)


class GeminiProvider(Provider):
    """Answers with the models of Google Gemini."""

    name = "gemini"
    title = "Google Gemini"
    known_models = MODELS

    def __init__(self) -> None:
        self._server = HostedServer(self.title, URL, url_env="GOOGLE_GEMINI_BASE_URL", reasoning=True)

    def use(self, ctx: PluginContext) -> None:
        """Take the plugin's corner, without which no request can be answered."""
        self._server.use(ctx)

    async def models(self, credential: Credential | None) -> Sequence[Model]:
        """The models that this account may chat with; without a credential, the known ones.

        Raises:
            ProviderError: they could not be listed.
        """
        from providers.wire.transport import get_json

        if credential is None:
            return self.known_models
        headers = _headers(credential)
        client = await self._server.opened()
        models: dict[str, Model] = {}
        params: dict[str, str | int] = {"pageSize": 1000}
        for _ in range(_MOST_PAGES):
            body = await get_json(
                client, f"{self._address()}/models", name=self.title, headers=headers, params=params
            )
            models.update((model.id, model) for model in read_models(body))
            token = body.get("nextPageToken") if isinstance(body, dict) else None
            if not isinstance(token, str) or not token or token == params.get("pageToken"):
                break
            params["pageToken"] = token
        return tuple(models.values())

    async def parameters(self, model: Model) -> Sequence[Parameter]:
        """Temperature, length, and an effort for a model that thinks."""
        efforts = efforts_of(model.id.removeprefix("models/"))
        usual = (Parameter.temperature(), Parameter.max_tokens(model.output_limit))
        return (*usual, Parameter.effort(efforts)) if efforts else usual

    async def stream(
        self, request: ChatRequest, credential: Credential | None
    ) -> AsyncGenerator[StreamEvent]:
        """Answer a request.

        Raises:
            ProviderError: there is no key, or the server refused or broke off.
        """
        from providers.wire.gemini_generate import left_out, request_body, stream_generate
        from providers.wire.retry import retrying

        headers = _headers(credential)
        model = request.model.removeprefix("models/")
        url = f"{self._address()}/models/{quote(model, safe='')}:streamGenerateContent?alt=sse"
        body = request_body(
            request,
            thinking=thinking_config(model, request.parameters.get("effort")),
            signed_calls=_SIGNS_CALLS.match(model) is not None,
        )
        unused = left_out(request, body)
        details = {"left_out": ", ".join(unused)} if unused else {}
        client = await self._server.opened()

        def ask() -> AsyncGenerator[StreamEvent]:
            return stream_generate(
                client, url, body, model=request.model, name=self.title, headers=headers, details=details
            )

        async with aclosing(retrying(ask, name=self.title)) as events:
            async for event in events:
                yield event

    def _address(self) -> str:
        url = self._server.url
        return url if _VERSIONED.search(url) else f"{url}/v1beta"


def thinking_config(model: str, effort: object = None) -> dict[str, str | int | bool] | None:
    """The `thinkingConfig` that a model accepts: a level or a budget, never both.

    Args:
        model: its name; None is given for one that does not think.
        effort: as the user chose it; without one the model decides. One that it lacks becomes the nearest.

    Raises:
        ProviderError: there is no such effort.
    """
    scale = _scale_of(model)
    if not scale:
        return None
    if effort is None or effort == "":
        return {"includeThoughts": True}
    chosen = scale.get(str(effort).lower())
    if chosen is None:
        raise ProviderError(
            ErrorKind.BAD_REQUEST,
            safe_text(f"There is no effort {effort!r}", single_line=True, limit=100),
            hint=f"Choose one of {', '.join(scale)}.",
        )
    if chosen == 0:
        return {"thinkingBudget": 0}  # thoughts that are not had cannot be shown
    return {"includeThoughts": True, "thinkingLevel" if isinstance(chosen, str) else "thinkingBudget": chosen}


def efforts_of(model: str) -> tuple[str, ...]:
    """The efforts that make a difference to a model, from little to much; none if it does not think."""
    scale = _scale_of(model)
    words = {scale[word]: word for word in ("none", "minimal", "low", "medium", "high") if word in scale}
    return tuple(level.lower() if isinstance(level, str) else word for level, word in words.items())


def _scale_of(model: str) -> Mapping[str, str | int]:
    return next((scale for pattern, scale in _THINKING if pattern.match(model)), {})


def read_models(body: object) -> tuple[Model, ...]:
    """The models on one page of the list that chat; none when it is something else."""
    items = body.get("models") if isinstance(body, dict) else None
    if not isinstance(items, list):
        return ()
    models = (_read_model(item) for item in items if isinstance(item, dict))
    return tuple(model for model in models if model is not None)


def _read_model(item: Mapping[str, object]) -> Model | None:
    name = item.get("name")
    methods = item.get("supportedGenerationMethods")
    if not isinstance(name, str) or not isinstance(methods, list) or "generateContent" not in methods:
        return None
    model_id = name.removeprefix("models/")
    # An id goes back to the server as it is, so one that could not be shown as it is is left out.
    if not model_id or safe_text(model_id, single_line=True, limit=200) != model_id:
        return None
    if _CHATS_NOT.search(model_id):
        return None
    title = item.get("displayName")
    is_gemini = model_id.startswith("gemini-")
    return Model(
        model_id,
        safe_text(title, single_line=True, limit=200) if isinstance(title, str) else "",
        _count(item, "inputTokenLimit"),
        _count(item, "outputTokenLimit"),
        _SEES if is_gemini else ("text",),
        reasoning=item.get("thinking") is True,
        tools=is_gemini,
    )


def _count(item: Mapping[str, object], key: str) -> int | None:
    value = item.get(key)
    return value if isinstance(value, int) and value > 0 else None


def _headers(credential: Credential | None) -> dict[str, str]:
    key = key_of(credential, title=GeminiProvider.title, env=ENV[0], key_url=KEY_URL)
    return {"x-goog-api-key": key}

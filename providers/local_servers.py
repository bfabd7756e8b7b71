"""Model servers that already run on this machine: Ollama, llama.cpp, LM Studio, vLLM.

Each product is a provider. It has models only while its server answers, which is asked when somebody wants to
know, never at the start of the app. The addresses can be set in config.toml:

```toml
[plugins.local-servers.options]
ollama_url = "http://127.0.0.1:11435"
```
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from jackfield import Capabilities, ErrorKind, Model, Parameter, Plugin, Provider, ProviderError, safe_text
from providers.wire.corner import Corner

if TYPE_CHECKING:
    import httpx

    from jackfield import ChatRequest, Credential, PluginContext, StreamEvent

_PROBE_LIMIT_S: Final = 0.5
"""A server on this machine answers in milliseconds; nobody should wait for one that is not there."""
_LIST_LIMIT_BYTES: Final = 4 * 1024 * 1024
_MOST_MODELS: Final = 1000


@dataclass(frozen=True, slots=True)
class Product:
    """A kind of model server."""

    name: str
    title: str
    port: int
    """Where it listens unless it was told otherwise."""
    start: str
    """How a user starts it, as half a sentence."""


PRODUCTS: Final = (
    Product("ollama", "Ollama on this machine", 11434, "with `ollama serve`"),
    Product("llamacpp", "llama.cpp on this machine", 8080, "with `llama-server`"),
    Product(
        "lmstudio",
        "LM Studio on this machine",
        1234,
        "in LM Studio, or with `lms server start`",
    ),
    Product("vllm", "vLLM on this machine", 8000, "with `vllm serve`"),
)


class LocalServersPlugin(Plugin):
    """Offers the model servers that run on this machine."""

    name = "local-servers"
    version = "0.1.0"
    summary = "Ollama, llama.cpp, LM Studio and vLLM, when they run on this machine"
    on_by_default = True
    capabilities = Capabilities(hosts=tuple(f"127.0.0.1:{product.port}" for product in PRODUCTS))

    def __init__(self) -> None:
        self._providers = tuple(LocalServerProvider(product) for product in PRODUCTS)

    def on_init(self, ctx: PluginContext) -> None:
        """Take the addresses that the user set."""
        for provider in self._providers:
            provider.use(ctx)

    def providers(self) -> Sequence[Provider]:
        """One provider for each product, whether or not its server runs."""
        return self._providers


class LocalServerProvider(Provider):
    """Answers with the models of one server on this machine.

    Args:
        product: the kind of server.
    """

    def __init__(self, product: Product) -> None:
        self.name = product.name
        self.title = product.title
        self._product = product
        self._corner = Corner(self.title)

    def use(self, ctx: PluginContext) -> None:
        """Take the plugin's context, without which no server can be asked."""
        self._corner.use(ctx)

    async def models(self, credential: Credential | None) -> Sequence[Model]:
        """The models of the server; none when no such server runs.

        Raises:
            ProviderError: the address in config.toml is none.
        """
        url = f"{self._address()}/v1/models"
        body = await _probe(await self._corner.opened(local=True), url)
        return read_models(body)

    async def parameters(self, model: Model) -> Sequence[Parameter]:
        """Temperature and length; not every server or model heeds an effort, and none says so."""
        return (Parameter.temperature(), Parameter.max_tokens(model.context_window))

    async def stream(
        self, request: ChatRequest, credential: Credential | None
    ) -> AsyncGenerator[StreamEvent]:
        """Answer a request.

        Raises:
            ProviderError: the server does not run, refused, or broke off.
        """
        from providers.wire.chat_completions import request_body
        from providers.wire.retry import retrying

        url = f"{self._address()}/v1/chat/completions"
        client = await self._corner.opened(local=True)
        body = request_body(request)

        def ask() -> AsyncGenerator[StreamEvent]:
            return self._ask(client, url, body, _authorization(credential))

        async with aclosing(retrying(ask, name=self.title)) as events:
            async for event in events:
                yield event

    async def _ask(
        self,
        client: httpx.AsyncClient,
        url: str,
        body: Mapping[str, object],
        headers: Mapping[str, str],
    ) -> AsyncGenerator[StreamEvent]:
        from providers.wire.chat_completions import stream_chat
        from providers.wire.errors import WireError

        events = stream_chat(client, url, body, name=self.title, headers=headers)
        try:
            async with aclosing(events):
                async for event in events:
                    yield event
        except WireError as error:
            if error.kind is ErrorKind.CONNECTION:
                error.hint = f"Start it {self._product.start}, then press retry."
                error.should_retry = False  # unlike a server that loads a model, one that is off stays off
            raise

    def _address(self) -> str:
        """Where the server listens, without a slash at the end."""
        key = f"{self.name}_url"
        value = self._corner.given(key)
        if value is None:
            return f"http://127.0.0.1:{self._product.port}"
        address = value.strip().rstrip("/").removesuffix("/v1") if isinstance(value, str) else ""
        if not address.startswith(("http://", "https://")):
            raise ProviderError(
                ErrorKind.BAD_REQUEST,
                f"{key} is no address",
                detail=safe_text(f"It is {value!r}.", limit=200),
                hint=f'Set it in config.toml, as in {key} = "http://127.0.0.1:{self._product.port}".',
            )
        return address


def read_models(body: object) -> tuple[Model, ...]:
    """The models in the answer to `GET /v1/models`; none when it is something else."""
    items = body.get("data") if isinstance(body, dict) else None
    if not isinstance(items, list):
        return ()
    models: dict[str, Model] = {}
    for item in items[:_MOST_MODELS]:
        model_id = item.get("id") if isinstance(item, dict) else None
        # An id goes back to the server as it is, so one that could not be shown as it is is left out.
        if isinstance(model_id, str) and model_id and safe_text(model_id, single_line=True) == model_id:
            models[model_id] = Model(id=model_id, context_window=_context(item))
    return tuple(models.values())


def _context(item: dict[str, object]) -> int | None:
    """Tokens of context, where the server tells: vLLM beside the id, llama.cpp among facts of the file."""
    meta = item.get("meta")
    told = (
        item.get("max_model_len"),
        meta.get("n_ctx") if isinstance(meta, dict) else None,
        meta.get("n_ctx_train") if isinstance(meta, dict) else None,
        item.get("max_context_length"),
    )
    return next((value for value in told if isinstance(value, int) and value > 0), None)


async def _probe(client: httpx.AsyncClient, url: str) -> object:
    """The decoded answer, or None when nothing answers in time, or not with JSON."""
    import asyncio
    import json

    import httpx

    pieces: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(_PROBE_LIMIT_S), client.stream("GET", url) as response:
            if response.status_code != httpx.codes.OK:
                return None
            async for piece in response.aiter_bytes():
                pieces.append(piece)
                size += len(piece)
                if size > _LIST_LIMIT_BYTES:
                    return None
        return json.loads(b"".join(pieces))
    except (httpx.HTTPError, httpx.InvalidURL, TimeoutError, ValueError, RecursionError):
        return None


def _authorization(credential: Credential | None) -> dict[str, str]:
    if credential is None or "key" not in credential.secrets:
        return {}
    return {"Authorization": f"Bearer {credential.secrets['key'].get_secret_value()}"}

"""Acme's protocol: `GET /models`, and `POST /chat`, which answers with one JSON object on each line."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from jackfield import (
    ChatRequest,
    Credential,
    ErrorKind,
    Finished,
    Model,
    PluginContext,
    Provider,
    ProviderError,
    StreamEvent,
    TextDelta,
    Usage,
)

if TYPE_CHECKING:
    import httpx

_KINDS: Final = {
    401: ErrorKind.AUTH,
    403: ErrorKind.PERMISSION,
    404: ErrorKind.NOT_FOUND,
    429: ErrorKind.RATE_LIMITED,
}


class Acme(Provider):
    """Answers with the models of an Acme server."""

    name = "acme"
    title = "Acme"
    known_models = (Model("anvil-1", "Anvil 1", 8192),)

    _client: httpx.AsyncClient

    def open(self, ctx: PluginContext, base_url: str) -> None:
        """Make the client for a server; the app closes it."""
        local = urlsplit(base_url).hostname in ("127.0.0.1", "localhost", "::1")
        self._client = ctx.http_client(base_url=base_url, local=local)

    async def models(self, credential: Credential | None) -> Sequence[Model]:
        """What the server has now."""
        import httpx

        try:
            answer = await self._client.get("/models", headers=_signed(credential))
        except httpx.HTTPError as error:
            raise _unreachable(error) from error
        _check(answer.status_code)
        return [Model(row["id"], row["title"], row["context"]) for row in answer.json()["models"]]

    async def stream(self, request: ChatRequest, credential: Credential | None) -> AsyncIterator[StreamEvent]:
        """Ask, and pass on what comes."""
        import httpx

        messages = [{"role": message.role, "text": message.text} for message in request.messages]
        body = {"model": request.model, "system": request.system, "messages": messages}
        try:
            async with self._client.stream("POST", "/chat", json=body, headers=_signed(credential)) as answer:
                _check(answer.status_code)
                async for line in answer.aiter_lines():
                    said = json.loads(line)
                    if "text" in said:
                        yield TextDelta(said["text"])
                    if "tokens" in said:
                        yield Finished(usage=Usage(**said["tokens"]))
        except httpx.HTTPError as error:
            raise _unreachable(error) from error


def _signed(credential: Credential | None) -> dict[str, str]:
    if credential is None:
        raise ProviderError(
            ErrorKind.AUTH, "Nobody is signed in to Acme", hint="Run `jackfield auth login acme-provider`."
        )
    return {"authorization": f"Bearer {credential.token}"}


def _check(status: int) -> None:
    if status != 200:
        kind = _KINDS.get(status, ErrorKind.SERVER)
        raise ProviderError(kind, f"Acme answered with status {status}", status=status)


def _unreachable(error: Exception) -> ProviderError:
    return ProviderError(
        ErrorKind.CONNECTION, "Acme cannot be reached", detail=f"{type(error).__name__}: {error}"
    )

"""One answer of the embedded model, from whatever state the machine is in."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import replace
from typing import Final

import httpx

from jackfield import (
    ChatRequest,
    ErrorKind,
    FilePart,
    Finished,
    ImagePart,
    PluginContext,
    Progress,
    ProviderError,
    StreamEvent,
)
from providers.embedded.install import Installation, install, verify_weights
from providers.embedded.machine import check_machine
from providers.embedded.prompt import ANSWER, CONTEXT, INSTRUCTIONS, SAMPLING, as_plain, fit
from providers.embedded.server import ChildConfig, EmbeddedServer, Endpoint
from providers.wire.chat_completions import request_body, stream_chat
from providers.wire.errors import make_error
from providers.wire.transport import open_local_client

_NAME: Final = "The embedded model"
_BROKEN: Final = frozenset({ErrorKind.CONNECTION, ErrorKind.TRUNCATED_STREAM})


class EmbeddedChat:
    """Answers requests with the embedded model, which it fetches and starts when it has to.

    Args:
        ctx: the plugin's corner: the model is kept in its folder.
        server: the child process; a test may give another.
    """

    def __init__(self, ctx: PluginContext, server: EmbeddedServer | None = None) -> None:
        self._folder = ctx.data_folder
        self._client = open_local_client(ctx)
        self.server = server or EmbeddedServer()

    async def stream(self, request: ChatRequest) -> AsyncGenerator[StreamEvent]:
        """The events of an answer, with progress before it while the model is fetched or started.

        Raises:
            ProviderError: the model cannot be fetched, started, or broke off.
        """
        async with aclosing(self._prepare(request.model)) as steps:
            async for step in steps:
                if isinstance(step, Progress):
                    yield step
                    continue
                async with aclosing(self._answer(step, request)) as events:
                    async for event in events:
                        yield event

    async def aclose(self) -> None:
        """End the child process."""
        await self.server.aclose()

    async def _prepare(self, model: str) -> AsyncGenerator[Progress | Endpoint]:
        """Progress while the model is fetched and started, then where it listens."""
        endpoint = self.server.endpoint
        if endpoint is None:
            installation = Installation(self._folder, check_machine())
            async with aclosing(install(installation)) as steps:
                async for step in steps:
                    yield step
            yield Progress("Starting the offline demo model")
            await verify_weights(installation)
            config = ChildConfig.for_machine(installation.runtime, installation.model, model, CONTEXT)
            endpoint = await self.server.ensure_running(config)
        yield endpoint

    async def _answer(self, endpoint: Endpoint, request: ChatRequest) -> AsyncGenerator[StreamEvent]:
        try:
            body, left_out = await self._body(endpoint, request)
            if left_out:
                yield Progress(left_out)
            url = f"{endpoint.address}/v1/chat/completions"
            events = stream_chat(self._client, url, body, name=_NAME, headers=endpoint.headers)
            details = {"note": left_out} if left_out else {}
            if _has_attachments(request):
                details["left_out"] = "attachments"
            async with aclosing(events):
                async for event in events:
                    yield _with_details(event, details)
        except ProviderError as error:
            ended = await self.server.explain_end() if error.kind in _BROKEN else None
            if ended is not None:
                raise ended from error
            raise

    async def _body(self, endpoint: Endpoint, request: ChatRequest) -> tuple[dict[str, object], str]:
        """The JSON to send, and what to tell the user about messages that did not fit."""
        answer = _answer_limit(request)
        system = request.system or INSTRUCTIONS
        messages = [plain for message in request.messages if (plain := as_plain(message))]

        async def count(text: str) -> int:
            return await self._count(endpoint, text)

        kept = await fit(messages, system, CONTEXT - answer, count)
        prepared = replace(
            request,
            messages=kept,
            system=system,
            parameters={**request.parameters, "max_tokens": answer},
        )
        dropped = len(messages) - len(kept)
        note = f"Left out the oldest messages ({dropped}): the offline demo model holds {CONTEXT} tokens"
        body = request_body(prepared, extra={**SAMPLING, "return_progress": True})
        return body, note if dropped else ""

    async def _count(self, endpoint: Endpoint, text: str) -> int:
        url = f"{endpoint.address}/tokenize"
        try:
            response = await self._post_again(url, {"content": text}, endpoint.headers)
            response.raise_for_status()
            return len(response.json()["tokens"])
        except httpx.TransportError as error:
            raise make_error(ErrorKind.CONNECTION, _NAME, detail=str(error)) from error
        except (httpx.HTTPStatusError, ValueError, KeyError, TypeError) as error:
            raise make_error(ErrorKind.PROTOCOL, _NAME, detail=str(error)) from error

    async def _post_again(self, url: str, data: dict[str, str], headers: dict[str, str]) -> httpx.Response:
        """Ask, and once more where the server closed a connection that it had kept: as it may."""
        try:
            return await self._client.post(url, json=data, headers=headers)
        except (httpx.ReadError, httpx.RemoteProtocolError):
            return await self._client.post(url, json=data, headers=headers)


def _answer_limit(request: ChatRequest) -> int:
    """Tokens that the answer may have: what the user set, but never more than half of the context."""
    wanted = request.parameters.get("max_tokens", ANSWER)
    if not isinstance(wanted, int | float) or wanted < 1:
        return ANSWER
    return min(int(wanted), CONTEXT // 2)


def _has_attachments(request: ChatRequest) -> bool:
    return any(isinstance(part, ImagePart | FilePart) for said in request.messages for part in said.parts)


def _with_details(event: StreamEvent, details: Mapping[str, str]) -> StreamEvent:
    if details and isinstance(event, Finished):
        return replace(event, details={**event.details, **details})
    return event

"""Plugins of an author who is not Jackfield, for tests of the command line, which install a copy of this.

What they note goes to the file that the environment variable ACME_NOTES names.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncGenerator, Sequence
from pathlib import Path

from jackfield import (
    ChatRequest,
    ChatResponse,
    Command,
    CommandCall,
    CommandResult,
    Credential,
    ErrorKind,
    Finished,
    Model,
    NoAuth,
    Plugin,
    Progress,
    Provider,
    ProviderError,
    Show,
    StopReason,
    StreamEvent,
    TextDelta,
    ThinkingDelta,
    Usage,
)

HOSTILE = "a\x1b]52;c;ZXZpbA==\x07b\x9b31mc\u202ed\u2028e"
"""Becomes `abcd`, a line break, `e`."""


def note(text: str) -> None:
    with Path(os.environ["ACME_NOTES"]).open("a", encoding="utf-8") as notes:
        notes.write(f"{text}\n")


class Scenes(Provider):
    """Each of its models plays one scene."""

    name = "acme"
    title = "Acme"
    known_models = (Model("echo", "Acme Echo", 4096), Model("hostile"))

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None

    async def models(self, credential: Credential | None) -> Sequence[Model]:
        return [Model("echo", "Acme Echo", 8192), Model("live", f"Fresh {HOSTILE}")]

    async def stream(
        self, request: ChatRequest, credential: Credential | None
    ) -> AsyncGenerator[StreamEvent, None]:
        try:
            async for event in getattr(self, f"_{request.model}")(request):
                yield event
        finally:
            note("stream closed")

    async def _echo(self, request: ChatRequest) -> AsyncGenerator[StreamEvent, None]:
        yield ThinkingDelta("Hm.")
        prompt = request.messages[-1].text
        for word in f"{request.system or ''}<{prompt}>".splitlines(keepends=True):
            yield TextDelta(word)
        yield Finished(usage=Usage(input=3, output=5))

    async def _hostile(self, _: ChatRequest) -> AsyncGenerator[StreamEvent, None]:
        for character in HOSTILE:
            yield TextDelta(character)
        yield Finished()

    async def _download(self, _: ChatRequest) -> AsyncGenerator[StreamEvent, None]:
        for done in range(101):
            yield Progress("Fetching \x1b[31mit", done * 1_000_000, 100_000_000)
        yield Progress("Loading", 0, 2, "steps")
        yield TextDelta("Ready.")
        yield Finished()

    async def _slow(self, _: ChatRequest) -> AsyncGenerator[StreamEvent, None]:
        yield TextDelta("first\n")
        yield TextDelta("half")
        await asyncio.Event().wait()

    async def _flood(self, _: ChatRequest) -> AsyncGenerator[StreamEvent, None]:
        while True:
            yield TextDelta("all work and no play\n" * 195)
            await asyncio.sleep(0)

    async def _stubborn(self, _: ChatRequest) -> AsyncGenerator[StreamEvent, None]:
        yield TextDelta("first\n")
        while True:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                note("would not stop")

    async def _child(self, _: ChatRequest) -> AsyncGenerator[StreamEvent, None]:
        idle = [sys.executable, "-c", "import time; time.sleep(600)"]
        self._process = subprocess.Popen(idle)  # noqa: ASYNC220 - starting it takes a moment
        note(f"child {self._process.pid}")
        yield TextDelta("first\n")
        await asyncio.Event().wait()

    async def _early(self, request: ChatRequest) -> AsyncGenerator[StreamEvent, None]:
        if request.messages:
            raise ProviderError(
                ErrorKind.RATE_LIMITED, "Too many\x1b[31m questions", detail="429\x07", hint="Wait a minute."
            )
        yield Finished()

    async def _late(self, request: ChatRequest) -> AsyncGenerator[StreamEvent, None]:
        yield TextDelta("Half an")
        async for event in self._early(request):
            yield event

    async def _short(self, _: ChatRequest) -> AsyncGenerator[StreamEvent, None]:
        yield TextDelta("Once upon")
        yield Finished(StopReason.LENGTH)

    async def _chatty(self, _: ChatRequest) -> AsyncGenerator[StreamEvent, None]:
        sys.stdout.write("printed by a plugin\n")
        yield TextDelta("answer")
        yield Finished()

    async def aclose(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        note("provider closed")


class ScenePlugin(Plugin):
    name = "acme"
    version = "1.2.0"
    summary = "Scenes for tests"

    def on_init(self, ctx: object) -> None:
        note("loaded")

    def auth_methods(self) -> Sequence[NoAuth]:
        return [NoAuth(name="none", label="Nothing to sign in to")]

    def providers(self) -> Sequence[Provider]:
        return [Scenes()]

    def commands(self) -> Sequence[Command]:
        return [Command("wave", "Waves", _wave)]


async def _wave(_: CommandCall) -> CommandResult:
    return Show("o/")


class NoList(Provider):
    name = "nolist"
    title = "No list"
    known_models: Sequence[Model] = (Model("known"),)

    async def models(self, credential: Credential | None) -> Sequence[Model]:
        raise ProviderError(ErrorKind.CONNECTION, "Nobody\x1b[31m answers", hint="Start the server.")

    async def stream(
        self, request: ChatRequest, credential: Credential | None
    ) -> AsyncGenerator[StreamEvent, None]:
        yield Finished()


class EndlessList(NoList):
    name = "endless"
    known_models = ()

    async def models(self, credential: Credential | None) -> Sequence[Model]:
        await asyncio.Event().wait()
        return ()


class ListPlugin(Plugin):
    name = "acme-lists"
    version = "1.0"

    def providers(self) -> Sequence[Provider]:
        return [NoList(), EndlessList()]


class RaisingPlugin(Plugin):
    name = "acme-raising"
    version = "1.0"

    async def on_request(self, request: ChatRequest) -> None:
        raise ValueError("no\x1b[31m such thing")


class UnloadablePlugin(Plugin):
    name = "acme-unloadable"
    version = "1.0"

    def on_init(self, ctx: object) -> None:
        raise OSError("no room")

    async def on_request(self, request: ChatRequest) -> None:
        raise AssertionError("it was never loaded")


class ShoutPlugin(Plugin):
    name = "acme-shout"
    version = "1.0"

    async def on_response(self, response: ChatResponse) -> None:
        response.message = response.message.with_text(response.message.text.upper())


class GuardPlugin(Plugin):
    name = "acme-guard"
    version = "1.0"
    guard = True

    async def on_response(self, response: ChatResponse) -> None:
        raise ValueError("cannot look")

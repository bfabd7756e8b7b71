"""Plugins that play scenes in the tests in real terminals, which install a copy of this module.

The environment variable SCENE_TONE makes all that they say `hostile` or `plain`; what they note goes to the
file that SCENE_NOTES names.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncGenerator, Sequence
from itertools import count
from pathlib import Path

from jackfield import (
    ChatRequest,
    Command,
    CommandCall,
    CommandResult,
    Credential,
    ErrorKind,
    Finished,
    Model,
    Plugin,
    Provider,
    ProviderError,
    Show,
    Started,
    StreamEvent,
    TextDelta,
    ThinkingDelta,
    Usage,
)

HOSTILE = (
    "osc\x1b]52;c;ZXZpbA==\x07\x1b]0;ZXZpbA\x1b\\. csi\x1b[5;31m\x1b[2J\x1b[?1049l. "
    "c1\x9b5m\x9d0;ZXZpbA\x9c. dcs\x1bPqZXZpbA\x1b\\\x1b_ZXZpbA\x1b\\. bidi\u202egnp\u2066x. "
    "markup [/x] [@click=app.quit]x[/] [red]. "
    "lines\u2028a\u2029b\x85c. lone\ud83d. bell\x07\x08\x0b\x7f\x00. "
    "link [here](https://example.com/\x1b[5m\x07) [there](javascript:alert). open\x90"
)
PLAIN = (
    "osc. csi. markup [/x]. lines\na\nb. link [here](https://example.com/) [there](javascript:alert). open"
)
TEXT = HOSTILE if os.environ.get("SCENE_TONE") == "hostile" else PLAIN
WORD_INTERVAL_S = 0.02


def note(text: str) -> None:
    with Path(os.environ["SCENE_NOTES"]).open("a", encoding="utf-8") as notes:
        notes.write(f"{text}\n")


class Scenes(Provider):
    """Each of its models plays one scene."""

    name = "scene"
    title = f"Scenes {TEXT}"
    known_models = (
        *(
            Model(name)
            for name in ("echo", "steady", "page", "pondering", "silent", "stubborn", "stuck", "failing")
        ),
        Model("text", f"Text {TEXT}"),
    )

    async def models(self, credential: Credential | None) -> Sequence[Model]:
        return [*self.known_models, Model("listed", f"Listed {TEXT}")]

    async def stream(
        self, request: ChatRequest, credential: Credential | None
    ) -> AsyncGenerator[StreamEvent, None]:
        async for event in getattr(self, f"_{request.model}")(request):
            yield event

    async def _echo(self, request: ChatRequest) -> AsyncGenerator[StreamEvent, None]:
        yield Started()
        yield TextDelta(f"Echoed <{request.messages[-1].text}>")
        yield Finished(usage=Usage(input=3, output=5))

    async def _steady(self, _: ChatRequest) -> AsyncGenerator[StreamEvent, None]:
        for number in count(1):
            yield TextDelta(f"w{number:05} ")
            await asyncio.sleep(WORD_INTERVAL_S)

    async def _page(self, _: ChatRequest) -> AsyncGenerator[StreamEvent, None]:
        for number in range(1, 61):
            yield TextDelta(f"w{number:05} ")
            await asyncio.sleep(WORD_INTERVAL_S)
        await asyncio.Event().wait()

    async def _pondering(self, _: ChatRequest) -> AsyncGenerator[StreamEvent, None]:
        for number in range(1, 6):
            yield ThinkingDelta(f"t{number:05} ")
        async for event in self._steady(_):
            yield event

    async def _silent(self, _: ChatRequest) -> AsyncGenerator[StreamEvent, None]:
        yield Started()
        await asyncio.Event().wait()

    async def _stubborn(self, _: ChatRequest) -> AsyncGenerator[StreamEvent, None]:
        yield TextDelta("stubborn ")
        while True:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                note("would not stop")

    async def _stuck(self, _: ChatRequest) -> AsyncGenerator[StreamEvent, None]:
        yield TextDelta("stuck ")
        await asyncio.to_thread(time.sleep, 3600)

    async def _failing(self, _: ChatRequest) -> AsyncGenerator[StreamEvent, None]:
        yield TextDelta("Half")
        raise ProviderError(ErrorKind.SERVER, f"Title {TEXT}", detail=f"Detail {TEXT}", hint=f"Hint {TEXT}")

    async def _text(self, request: ChatRequest) -> AsyncGenerator[StreamEvent, None]:
        yield ThinkingDelta(TEXT)
        for character in TEXT:  # each sequence is split in all ways
            yield TextDelta(character)
        yield TextDelta(f"\n\nfarewell{len(request.messages)}")
        yield Finished(usage=Usage(input=3, output=5))


class ScenePlugin(Plugin):
    name = "scene"
    version = "1.0"
    summary = f"Scenes {TEXT}"

    def providers(self) -> Sequence[Provider]:
        return [Scenes()]

    def commands(self) -> Sequence[Command]:
        return [
            Command("show", f"Shows {TEXT}", _show),
            Command("break", "Breaks", _break, argument=TEXT[:20]),
        ]


async def _show(_: CommandCall) -> CommandResult:
    return Show(f"Shown {TEXT}\n\nadieu")


async def _break(_: CommandCall) -> CommandResult:
    raise ValueError(f"Broke {TEXT}")


class RaisingPlugin(Plugin):
    name = "scene-raising"
    version = "1.0"

    async def on_request(self, request: ChatRequest) -> None:
        raise ValueError(f"raised {TEXT}")


class HangingPlugin(Plugin):
    name = "scene-hanging"
    version = "1.0"

    async def on_request(self, request: ChatRequest) -> None:
        note("hanging")
        time.sleep(3600)  # noqa: ASYNC251 - a hook that blocks its thread is what this is for


class UnloadablePlugin(Plugin):
    name = "scene-unloadable"
    version = "1.0"

    def on_init(self, ctx: object) -> None:
        raise OSError(f"no room {TEXT}")


class MisnamedPlugin(Plugin):
    name = f"Mis {TEXT}"
    version = "1.0"


class OnePlugin(Plugin):
    name = "scene-one"
    version = "1.0"


class TwoPlugin(Plugin):
    name = "scene-two"
    version = "1.0"

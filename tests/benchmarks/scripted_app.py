"""The app with a model that writes a long answer at a steady rate, and any conversation open at the start.

Run as a program: `python -m tests.benchmarks.scripted_app [CONVERSATION]`.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING
from unittest.mock import patch

from jackfield import ChatRequest, Finished, Started, StreamEvent, TextDelta
from registry.config import load_config
from registry.paths import find_paths
from registry.startup import find_manifests
from screenshots.scripted import with_stand_in
from tests.benchmarks.markdown_texts import cut, mixed
from tui.cli.start import paint_promptly

if TYPE_CHECKING:
    from textual.pilot import Pilot

TOKENS = 3000
RATE = 100
"""Tokens per second."""


async def writes_long(_: ChatRequest) -> AsyncIterator[StreamEvent]:
    """An answer of half a minute."""
    yield Started()
    for token in cut(mixed(TOKENS)):
        yield TextDelta(token)
        await asyncio.sleep(1 / RATE)
    yield Finished()


def main() -> None:
    """Run the app until it is killed."""
    paint_promptly()
    from tui.app import JackfieldApp

    paths = find_paths()
    app = JackfieldApp(paths, plugins_off=False, config=load_config(paths))

    async def open_conversation(_: Pilot[object]) -> None:
        await app.host.ready.wait()
        if len(sys.argv) > 1:
            await app.chat.open(int(sys.argv[1]))

    with patch("tui.host.find_manifests", return_value=with_stand_in(find_manifests(paths), writes_long)):
        app.run(auto_pilot=open_conversation)


if __name__ == "__main__":
    main()

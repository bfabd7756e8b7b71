"""The app with a model that writes a long answer at a steady rate, and any conversation open at the start.

Run as a program: `python -m tests.benchmarks.scripted_app [CONVERSATION]`.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from unittest.mock import patch

from jackfield import ChatRequest, Finished, Started, StreamEvent, TextDelta
from registry.config import load_config
from registry.paths import find_paths
from registry.startup import find_manifests
from screenshots.scripted import with_stand_in
from tests.benchmarks.markdown_texts import cut, mixed
from tui.app import JackfieldApp

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


class OpeningApp(JackfieldApp):
    """The app that opens a conversation as soon as it can."""

    conversation_id: int | None = None

    def on_ready(self) -> None:
        """Open it behind the first frame."""
        self.run_worker(self._open(), exit_on_error=True)

    async def _open(self) -> None:
        await self.host.ready.wait()
        if self.conversation_id is not None:
            await self.chat.open(self.conversation_id)


def main() -> None:
    """Run the app until it is killed."""
    paths = find_paths()
    app = OpeningApp(paths, plugins_off=False, config=load_config(paths))
    app.conversation_id = int(sys.argv[1]) if len(sys.argv) > 1 else None
    with patch("tui.host.find_manifests", return_value=with_stand_in(find_manifests(paths), writes_long)):
        app.run()


if __name__ == "__main__":
    main()

"""Streams an answer into the history and prints how much of it is committed; run by `test_history.py`."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from registry.chat import Message
from tui.history.history import History
from tui.history.writer import HistoryWriter


def say(*words: object) -> None:
    sys.stdout.write(" ".join(map(str, words)) + "\n")
    sys.stdout.flush()


async def main(path: Path, pieces: int) -> None:
    writer = HistoryWriter(path)
    await writer.open()
    conversation = await writer.run(History.create_conversation)
    await writer.run(History.add_message, conversation, Message.of("user", "Count for me"))
    answer = await writer.run(History.begin_answer, conversation, model="test/counter")
    say("conversation", conversation)
    for number in range(pieces):
        writer.append_soon(answer, f"{2 * number} ")
        await writer.append(answer, f"{2 * number + 1} ")
        say(2 * number + 2)
    say("waiting")
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    await writer.run(History.finish_answer, answer)
    await writer.aclose()


asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2])))

"""Tells the model what day it is."""

from __future__ import annotations

from datetime import datetime

from jackfield import ChatRequest, Plugin, __version__


class TodayPlugin(Plugin):
    """Adds the date to the system prompt of each request."""

    name = "today"
    version = __version__
    summary = "Tells the model today's date and the time of day"

    async def on_request(self, request: ChatRequest) -> None:
        """Append one line to the system prompt."""
        now = datetime.now().astimezone()
        line = f"It is {now:%A, %d %B %Y, %H:%M %Z}."
        request.system = f"{request.system}\n\n{line}" if request.system else line

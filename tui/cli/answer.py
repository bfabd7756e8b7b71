"""How `jackfield ask` writes a turn: as plain text for people and pipes, or as one JSON object a line."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Protocol

from registry.chat import ChatResponse, Finished, Progress, StopReason, TextDelta, ThinkingDelta
from registry.errors import JackfieldError
from registry.provider import ProviderError
from registry.text import safe_text
from registry.turn import HookChanged, HookFailed, TurnEvent, TurnFinished
from tui.cli.output import line, note, show_error, warn
from tui.cli.progress import ProgressLine
from tui.cli.stream import Output

_STOPS = {
    StopReason.LENGTH: "The answer ends here because the model reached its limit.",
    StopReason.CONTEXT_FULL: "The answer ends here because the model's context is full.",
    StopReason.TOOL: "The model asked for a tool, which `jackfield ask` does not run.",
    StopReason.REFUSED: "The model refused to answer.",
    StopReason.PAUSE: "The model paused; ask again to go on.",
}


class AnswerWriter(Protocol):
    """Writes what a turn gives. Every method but `take` is the last to be called, and called once."""

    async def take(self, event: TurnEvent) -> None:
        """Write one event."""

    async def fail(self, error: JackfieldError, kind: str, partial: str) -> None:
        """Write why there is no answer, or no more of it; the part that came stands."""

    async def stop(self, partial: str) -> None:
        """The turn was stopped by a signal; the part that came stands."""


class PlainAnswer:
    """The text alone on standard output; progress, warnings and errors on standard error.

    Args:
        output: where the text goes.
        progress: None to show none.
        hold: write the text only when the answer is complete, as the hooks that change answers left it.
    """

    def __init__(self, output: Output, *, progress: ProgressLine | None, hold: bool) -> None:
        self._output = output
        self._progress = progress
        self._hold = hold
        self._last = ""
        self._changed_by: list[str] = []
        self._left_out = ""

    async def take(self, event: TurnEvent) -> None:
        """Write one event."""
        match event:
            case Progress():
                if self._progress is not None:
                    self._progress.show(event)
            case TextDelta():
                if not self._hold:
                    await self._write(event.text)
            case HookFailed():
                self._clear()
                off = " Its plugin has been switched off." if event.switched_off else ""
                warn(f"The plugin {line(event.plugin)} failed in {line(event.hook)}: {event.reason}{off}")
            case HookChanged():
                if event.change.hook == "on_response":
                    self._changed_by.append(line(event.change.plugin))
            case Finished():
                self._left_out = event.details.get("left_out", "")
            case TurnFinished():
                await self._finish(event.response)
            case _:
                pass

    async def _finish(self, response: ChatResponse) -> None:
        if self._hold:
            await self._write(response.message.text)
        await self._end()
        if self._changed_by and not self._hold:
            note(f"{', '.join(self._changed_by)} changed the answer after it was shown; --json has both.")
        if self._left_out:
            note(f"Not sent, since the model does not take it: {line(self._left_out)}.")
        if response.stop in _STOPS:
            note(_STOPS[response.stop])
        elif not response.message.text:
            note("The model answered without any text.")

    async def fail(self, error: JackfieldError, kind: str, partial: str) -> None:
        """Write why there is no answer, or no more of it; the part that came stands."""
        await self.stop(partial)
        show_error(error)

    async def stop(self, partial: str) -> None:
        """The turn was stopped by a signal; the part that came stands."""
        if self._hold:
            await self._write(partial)
        await self._end()

    async def _write(self, text: str) -> None:
        if text:
            self._clear()
            self._last = text
            await self._output.write(text)

    async def _end(self) -> None:
        self._clear()
        if self._last and not self._last.endswith("\n"):
            await self._write("\n")

    def _clear(self) -> None:
        if self._progress is not None:
            self._progress.clear()


class JsonAnswer:
    """One JSON object a line, in ASCII whatever the locale; the last has the type finished or error.

    `jackfield ask --help` has the shapes.
    """

    def __init__(self, output: Output, *, model: str) -> None:
        self._output = output
        self._model = model
        self._progress: tuple[str, int] | None = None
        self._left_out: list[str] = []

    async def take(self, event: TurnEvent) -> None:
        """Write one event."""
        match event:
            case TextDelta():
                await self._write("text", text=event.text)
            case ThinkingDelta():
                await self._write("thinking", text=event.text)
            case Progress():
                await self._write_progress(event)
            case HookFailed():
                await self._write(
                    "hook_failed",
                    plugin=line(event.plugin),
                    hook=line(event.hook),
                    reason=safe_text(event.reason),
                    switched_off=event.switched_off,
                )
            case HookChanged():
                change = event.change
                await self._write("hook_changed", plugin=change.plugin, hook=change.hook, diff=change.diff)
            case Finished():
                self._left_out = [name for name in event.details.get("left_out", "").split(", ") if name]
            case TurnFinished():
                response = event.response
                left_out = {"left_out": self._left_out} if self._left_out else {}
                await self._write(
                    "finished",
                    text=response.message.text,
                    stop=str(response.stop),
                    usage=asdict(response.usage),
                    model=line(response.message.model or self._model),
                    **left_out,
                )
            case _:
                pass

    async def _write_progress(self, event: Progress) -> None:
        """Write a line for each percent or megabyte; a download has thousands of events."""
        step = event.done * 100 // event.total if event.total else event.done // 1_000_000
        if event.unit == "steps" or self._progress != (event.label, step):
            self._progress = (event.label, step)
            await self._write(
                "progress", label=line(event.label), done=event.done, total=event.total, unit=event.unit
            )

    async def fail(self, error: JackfieldError, kind: str, partial: str) -> None:
        """Write why there is no answer, or no more of it; the part that came stands."""
        await self._write(
            "error",
            kind=kind,
            title=line(error.title),
            detail=safe_text(error.detail),
            hint=safe_text(error.hint),
        )

    async def stop(self, partial: str) -> None:
        """The turn was stopped by a signal; the part that came stands."""
        await self._write("error", kind="cancelled", title="Stopped", detail="", hint="")

    async def _write(self, event_type: str, /, **data: object) -> None:
        await self._output.write(json.dumps({"type": event_type, **data}) + "\n")


def error_kind(error: JackfieldError) -> str:
    """The kind of an error as `--json` names it."""
    return str(error.kind) if isinstance(error, ProviderError) else "plugin"

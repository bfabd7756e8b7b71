"""Shows the events of a turn: text in the transcript, state and progress in the status line."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from registry.chat import (
    Finished,
    Message,
    Progress,
    Started,
    StopReason,
    TextDelta,
    ThinkingDelta,
    UsageReceived,
)
from registry.errors import JackfieldError
from registry.turn import HookChanged, HookFailed, TurnFinished
from tui.account import Account
from tui.attachments import in_lines
from tui.conversation import Entry, NotSaved, NotSent, SessionEvent
from tui.states import TurnState
from tui.transcript import Role, Transcript, TranscriptMessage
from tui.widgets.status import StatusLine

_STOP_NOTES = {
    StopReason.LENGTH: "cut at the length limit",
    StopReason.CONTEXT_FULL: "cut: the context is full",
    StopReason.REFUSED: "the provider refused to go on",
}


class TurnView:
    """The one place that turns what happens in a conversation into what is seen of it.

    Args:
        transcript: where messages are shown.
        status: where the state is shown.
        toast: shows a short message for a while.
        name_model: gives what people call the model of a `provider/model` reference.
    """

    def __init__(
        self,
        transcript: Transcript,
        status: StatusLine,
        toast: Callable[[str, str], None],
        name_model: Callable[[str], str],
    ) -> None:
        self._name_model = name_model
        self._transcript = transcript
        self._status = status
        self._toast = toast
        self._counter = 0
        self._open = ""
        self._text = ""
        self._changed_by: list[str] = []
        self._not_sent: list[str] = []
        self._told = ""

    def load(self, entries: Sequence[Entry]) -> None:
        """Show a conversation from its beginning."""
        self._told = ""
        self._transcript.load([self._message_of(entry) for entry in entries])

    def show_prompt(self, message: Message) -> None:
        """Show what the user said."""
        self._transcript.add(self._message_of(Entry(message)))

    def show_notice(self, markdown: str) -> None:
        """Show something that is no part of the conversation."""
        self._transcript.add(TranscriptMessage(self._next_id(), "notice", markdown))

    def begin(self, label: str) -> None:
        """An answer is asked for."""
        self._open = self._next_id()
        self._text = ""
        self._changed_by = []
        self._not_sent = []
        self._status.progress = None
        self._status.state = TurnState.WAITING
        self._transcript.open(self._open, "assistant", label)

    def show(self, event: SessionEvent) -> None:
        """Show one event of the open answer."""
        match event:
            case TextDelta():
                self._text += event.text
                self._status.state = TurnState.STREAMING
                self._transcript.append(event.text)
            case ThinkingDelta():
                self._status.state = TurnState.THINKING
                self._transcript.append_thinking(event.text)
            case Progress():
                self._status.progress = event
                self._status.state = TurnState.PREPARING
            case Started():
                self._status.progress = None
                self._status.state = TurnState.WAITING
            case UsageReceived():
                self._status.account = (self._status.account or Account()).while_answering(event.usage)
            case HookFailed():
                self._show_hook_failure(event)
            case HookChanged():
                self._changed_by.append(event.change.plugin)
            case NotSent():
                self._not_sent += event.what
            case Finished():
                self._not_sent += [name for name in event.details.get("left_out", "").split(", ") if name]
            case NotSaved():
                self._toast(f"Not saved from here on: {event.error}", "error")
            case TurnFinished():
                self._finish(event)
            case _:
                pass

    def _finish(self, event: TurnFinished) -> None:
        message = event.response.message
        notes = [_STOP_NOTES.get(event.response.stop, "")]
        if self._changed_by:
            notes.append("changed by " + ", ".join(dict.fromkeys(self._changed_by)))
        notes.append(self._note_not_sent())
        if not message.text and len(message.parts) == 0:
            notes.append("the model gave an empty answer")
        self._transcript.close(" · ".join(note for note in notes if note))
        if message.text != self._text:
            self._transcript.replace(self._open, message.text)
        self._end(TurnState.READY)

    def _note_not_sent(self) -> str:
        """What the model did not take, told when it is not what was told before."""
        what = ", ".join(dict.fromkeys(self._not_sent))
        if what == self._told:
            return ""
        self._told = what
        return f"not sent, since the model does not take it: {what}" if what else ""

    def stopped(self) -> None:
        """The user stopped the answer, perhaps before it was begun; what came stays."""
        self._transcript.close("stopped")
        self._end(TurnState.STOPPED)

    def failed(self, error: JackfieldError, *, hint: str) -> None:
        """The turn failed; what came stays, and the reason follows."""
        if self._text:
            self._transcript.close("broken off")
        elif self._open:
            self._transcript.close()
            self._transcript.remove_message(self._open)
        self._end(TurnState.FAILED)
        self._transcript.add(TranscriptMessage(self._next_id(), "error", error_markdown(error, hint)))

    def _end(self, state: TurnState) -> None:
        self._open = self._text = ""
        self._status.progress = None
        self._status.state = state

    def _show_hook_failure(self, event: HookFailed) -> None:
        after = (
            " It was switched off; F2 shows why." if event.switched_off else " The turn went on without it."
        )
        self._toast(f"The plugin {event.plugin} failed in {event.hook}: {event.reason}{after}", "warning")

    def _message_of(self, entry: Entry) -> TranscriptMessage:
        message = entry.message
        role: Role = "assistant" if message.role == "assistant" else "user"
        label = "You" if role == "user" else self._name_model(message.model or "")
        thinking = "".join(part.text for part in message.parts if part.type == "thinking")
        attached = "  ".join(f"▪ {line}" for line in in_lines(message))
        note = " · ".join(text for text in (attached, entry.note) if text)
        return TranscriptMessage(
            self._next_id(), role, message.text, label=label, note=note, thinking=thinking
        )

    def _next_id(self) -> str:
        self._counter += 1
        return f"m{self._counter}"


def error_markdown(error: JackfieldError, hint: str = "") -> str:
    """An error as Markdown: its title, its cause as it stands, and what to do next."""
    parts = [f"**{_literal(error.title)}**"]
    if error.detail:
        parts.append("  \n".join(_literal(line) for line in error.detail.splitlines()))
    hints = " ".join(part for part in (error.hint, hint) if part)
    if hints:
        parts.append(f"*{_literal(hints)}*")
    return "\n\n".join(parts)


def _literal(text: str) -> str:
    """Text that Markdown shows as it stands."""
    return "".join(
        f"\\{character}" if character in "\\`*_{}[]()#+-.!|<>~" else character for character in text
    )

"""Where the user writes: several lines, Enter sends, up and down go through earlier prompts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.events import Paste
from textual.message import Message
from textual.widgets import TextArea

from registry.text import safe_text

DISK_LIMIT_S = 1.0
"""How long a disk may take to say what files there are, in seconds, while somebody types."""
_PATHS = ("/", "~", "'", '"', "file:", *(f"{letter}:" for letter in "ABCDEFGHIJKLMNOPQRSTUVWXYZ"))


class Composer(TextArea):
    """A text area that sends on Enter."""

    BINDING_GROUP_TITLE = "Composer"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "enter", "send", "Send", id="composer.send", show=False, priority=True, tooltip="Send the prompt"
        ),
        Binding(
            "shift+enter,alt+enter,ctrl+j",
            "newline",
            "New line",
            id="composer.newline",
            show=False,
            priority=True,
            tooltip="Begin a new line",
        ),
        Binding(
            "up",
            "older",
            "Earlier prompt",
            id="composer.older",
            show=False,
            tooltip="Move up; on the first line, the prompt before",
        ),
        Binding(
            "down",
            "newer",
            "Later prompt",
            id="composer.newer",
            show=False,
            tooltip="Move down; on the last line, the prompt after",
        ),
        Binding(
            "tab",
            "complete",
            "Complete",
            id="composer.complete",
            show=False,
            tooltip="Complete a command or a path after @, or go to the transcript",
        ),
    ]

    @dataclass
    class Sent(Message):
        """The user sends a prompt."""

        prompt: str

    class CompletionAsked(Message):
        """The user wants the command completed that stands in the composer."""

    @dataclass
    class PathsFound(Message):
        """A path after `@` was completed as far as it goes."""

        names: tuple[str, ...]
        """The files that fit."""

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 - Textual's name for it
        super().__init__(
            id=id,
            soft_wrap=True,
            show_line_numbers=False,
            tab_behavior="focus",
            highlight_cursor_line=False,
            placeholder="Write a message. Enter sends, Ctrl+J begins a new line, / lists commands.",
        )
        self._prompts: list[str] = []
        self._place = 0
        self._draft = ""

    def set_prompts(self, prompts: Sequence[str]) -> None:
        """The earlier prompts, the latest first; what was sent before they were known is later still."""
        self._prompts += [prompt for prompt in prompts if prompt not in self._prompts]
        self._place = 0

    def remember(self, prompt: str) -> None:
        """Put a prompt before the earlier ones."""
        self._prompts = [prompt, *(other for other in self._prompts if other != prompt)]
        self._place = 0

    def fill(self, text: str) -> None:
        """Replace what stands here, with the cursor at the end."""
        self.load_text(text)
        self.move_cursor(self.document.end)

    def take_out(self, prompt: str) -> None:
        """Remove a prompt that was sent; what was typed after it stays."""
        self.fill(self.text.removeprefix(prompt))

    def action_send(self) -> None:
        """Send what stands here, unless it is blank."""
        # A priority key overtakes characters that were typed before it: it waits for its turn behind them.
        self.call_later(self._send)

    def _send(self) -> None:
        if self.text.strip():
            self.post_message(self.Sent(self.text))

    def action_newline(self) -> None:
        """Begin a new line."""
        self.call_later(self.insert, "\n")  # in its turn, as in `action_send`

    def action_complete(self) -> None:
        """Complete a command, or move the focus on."""
        if self.text.startswith("/") and "\n" not in self.text:
            self.post_message(self.CompletionAsked())
        elif "@" in self._before_cursor():
            self.run_worker(self._complete_path(), group="path", exclusive=True, exit_on_error=False)
        else:
            self.screen.focus_next()

    def _before_cursor(self) -> str:
        row, column = self.cursor_location
        return self.document.get_line(row)[:column]

    async def _complete_path(self) -> None:
        """Complete the path that ends at the cursor; where none does, move the focus on."""
        from registry.threads import LimitReachedError, call_with_limit
        from tui.attachments import complete  # only who attaches something waits for it

        row, column = self.cursor_location
        before = self._before_cursor()
        try:
            done = await call_with_limit(
                partial(complete, before), limit_s=DISK_LIMIT_S, name="complete path"
            )
        except LimitReachedError:
            return
        if done is None:
            self.screen.focus_next()
        elif self._before_cursor() == before and self.cursor_location == (row, column):
            if done[0] != before:
                self.replace(done[0], (row, 0), (row, column))
            self.call_later(self.post_message, self.PathsFound(done[1]))

    def action_older(self) -> None:
        """Move up, or show the prompt before this one."""
        if self.cursor_location[0] > 0:
            self.action_cursor_up()
        else:
            self._show_prompt(self._place + 1)

    def action_newer(self) -> None:
        """Move down, or show the prompt after this one."""
        if self.cursor_location[0] < self.document.line_count - 1:
            self.action_cursor_down()
        elif self._place > 0:
            self._show_prompt(self._place - 1)

    def _show_prompt(self, place: int) -> None:
        if place > len(self._prompts):
            return
        if self._place == 0:
            self._draft = self.text
        self._place = place
        self.fill(self._prompts[place - 1] if place else self._draft)

    async def _on_paste(self, event: Paste) -> None:
        # Pasted text is from outside too: an escape sequence in it would reach the terminal.
        # Textual calls the handler of the class below next, with this event, so that is not called from here.
        event.text = await _with_references(safe_text(event.text))


async def _with_references(pasted: str) -> str:
    """Paths of files, as terminals paste what is dragged into them, as references; other text as it is."""
    if not pasted.lstrip().startswith(_PATHS):
        return pasted
    from registry.threads import LimitReachedError, call_with_limit
    from tui.attachments import as_references  # only who attaches something waits for it

    try:
        look = partial(as_references, pasted)
        return await call_with_limit(look, limit_s=DISK_LIMIT_S, name="look at paths") or pasted
    except LimitReachedError:
        return pasted

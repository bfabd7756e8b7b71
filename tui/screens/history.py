"""Earlier conversations: type to search them, Enter opens one."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import ClassVar

from textual import getters, on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input

from registry.errors import JackfieldError
from registry.text import safe_text
from tui.history.history import History
from tui.history.records import Summary
from tui.host import Host
from tui.widgets.row_list import Row, RowList


class HistoryScreen(ModalScreen[int | None]):
    """The list of conversations, the latest first. Gives the id of the chosen one.

    Args:
        host: whose history is shown.
        current: the conversation that is open, which is not listed.
    """

    DEFAULT_CSS = """
    HistoryScreen { align: center middle; }
    HistoryScreen Vertical {
        width: 76; max-width: 96%; height: 80%; background: $surface; border: round $border; padding: 0 1;
    }
    HistoryScreen Input, HistoryScreen Input:focus {
        border: none; height: 1; margin: 1 0; padding: 0 1; background: $panel;
    }
    HistoryScreen RowList { background: $surface; }
    """
    AUTO_FOCUS = "Input"
    BINDING_GROUP_TITLE = "History"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss", "Close", id="history.close", tooltip="Back to the open conversation"),
        Binding(
            "down", "move(1)", "Down", id="history.down", show=False, priority=True, tooltip="The one below"
        ),
        Binding("up", "move(-1)", "Up", id="history.up", show=False, priority=True, tooltip="The one above"),
        Binding(
            "ctrl+d",
            "delete",
            "Delete",
            id="history.delete",
            priority=True,
            tooltip="Delete the conversation; Ctrl+Z brings it back",
        ),
        Binding(
            "ctrl+z",
            "undo",
            "Undo",
            id="history.undo",
            priority=True,
            tooltip="Bring back what was deleted last",
        ),
    ]

    rows = getters.query_one(RowList)

    def __init__(self, host: Host, current: int | None) -> None:
        super().__init__()
        self._host = host
        self._current = current
        self._deleted: list[int] = []

    def compose(self) -> ComposeResult:
        """Search field and list."""
        with Vertical() as box:
            box.border_title = "History"
            box.border_subtitle = "Enter opens, Ctrl+D deletes, Esc closes"
            yield Input(placeholder="Type to search what was said")
            yield RowList(classes="-lit")

    def on_mount(self) -> None:
        """Show the latest conversations."""
        self._show()

    @on(Input.Changed)
    def _search(self) -> None:
        self._show()

    @work(exclusive=True, group="list", exit_on_error=False)
    async def _show(self) -> None:
        await self._host.ready.wait()
        query = self.query_one(Input).value.strip()
        try:
            if query:
                found = await self._host.history.run(History.search, query)
                summaries = list({summary.id: summary for summary, _ in found}.values())
            else:
                summaries = await self._host.history.run(History.list_conversations)
        except JackfieldError as error:
            self.notify(str(error), severity="error", markup=False)
            return
        shown = [summary for summary in summaries if summary.id != self._current]
        if shown:
            self.rows.set_rows([Row(str(summary.id), _drawer(summary)) for summary in shown])
        else:
            text = "Nothing was said with these words." if query else "No earlier conversation yet."
            self.rows.set_rows([Row("", lambda _: Content.styled(text, "$foreground-muted"), heading=True)])

    def action_move(self, step: int) -> None:
        """Move through the list while typing."""
        self.rows.action_move(step)

    async def action_delete(self) -> None:
        """Delete the conversation under the cursor; it can be brought back."""
        if self.rows.key is not None:
            conversation_id = int(self.rows.key)
            if await self._do(History.delete_conversation, conversation_id):
                self._deleted.append(conversation_id)
                self.notify("Deleted. Ctrl+Z brings it back.", markup=False)

    async def action_undo(self) -> None:
        """Bring back what was deleted last."""
        if self._deleted:
            await self._do(History.restore_conversation, self._deleted.pop())

    async def _do(self, operation: Callable[[History, int], None], conversation_id: int) -> bool:
        try:
            await self._host.history.run(operation, conversation_id)
        except JackfieldError as error:
            self.notify(str(error), severity="error", markup=False)
            return False
        self._show()
        return True

    @on(Input.Submitted)
    def _choose_current(self) -> None:
        self.rows.action_choose()

    @on(RowList.Chosen)
    def _choose(self, event: RowList.Chosen) -> None:
        self.dismiss(int(event.key))


def _drawer(summary: Summary) -> Callable[[int], Content]:
    def draw(width: int) -> Content:
        when = _age(summary.updated_at)
        title_width = max(10, width - len(when) - 2)
        title = safe_text(summary.title, single_line=True) or "(nothing said)"
        return Content.assemble(f"{title[:title_width]:<{title_width}}  ", when)

    return draw


def _age(moment: datetime) -> str:
    """How long ago, in the largest unit that fits."""
    seconds = max(0, int((datetime.now(UTC) - moment).total_seconds()))
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds // size} {unit} ago"
    return "just now"

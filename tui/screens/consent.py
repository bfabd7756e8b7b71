"""Asks whether a plugin may come in: all that it asks for in plain words, and No unless Yes is chosen."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import ClassVar, Final

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from registry.marketplace.consent import Ask, Request
from registry.text import counted
from tui.market_text import Origin
from tui.widgets.row_list import Row, RowList
from tui.words import size_words

_NO, _YES = "no", "yes"
_HEADINGS: Final = {
    "hook": "What it sees",
    "guard": "What it sees",
    "host": "Where it calls",
    "environment": "What it is given",
    "folder": "What it is given",
    "provider": "What it adds",
    "command": "What it adds",
    "auth": "What it adds",
    "server": "Where you sign in",
    "scope": "Where you sign in",
    "dependency": "What it brings along",
}
_MARK: Final = ("  declared", "$foreground-muted")
"""Beside each thing: it is what the author says, as nothing that runs in a process of its own is enforced."""
_DECLARED: Final = (
    "It runs in a process of its own. Hosts and folders are declared by its author; nothing enforces them."
)


class ConsentScreen(ModalScreen[bool]):
    """What a version asks for; of an update, what it asks for beyond what was agreed to.

    Gives True only when Yes was chosen and confirmed. Enter at once, and Esc, mean No.

    Args:
        request: what is asked for.
        origin: the code that it is asked for.
    """

    DEFAULT_CSS = """
    ConsentScreen { align: center middle; }
    ConsentScreen #box {
        width: 78; max-width: 98%; height: auto; max-height: 96%;
        background: $surface; border: round $border; padding: 0 1;
    }
    ConsentScreen #asks { height: auto; max-height: 100%; scrollbar-size-vertical: 1; }
    ConsentScreen #asks Static { height: auto; }
    ConsentScreen RowList { height: 2; background: $surface; margin: 1 0 0 0; }
    """
    AUTO_FOCUS = "RowList"
    BINDING_GROUP_TITLE = "Agree or not"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("n,escape", "refuse", "No", id="consent.no", tooltip="Do not install it"),
        Binding("y", "lean_to_yes", "Yes", id="consent.yes", tooltip="Choose Yes; Enter then agrees"),
        Binding(
            "pagedown,ctrl+d", "scroll(1)", "Down", id="consent.down", priority=True, tooltip="Read further"
        ),
        Binding("pageup,ctrl+u", "scroll(-1)", "Up", id="consent.up", priority=True, tooltip="Read back"),
        # Not between the answers: who still moves through a list when this comes up must not land on Yes.
        Binding(
            "down,j,end", "read(1)", "A line down", id="consent.line_down", show=False, priority=True,
            tooltip="Read a line further",
        ),
        Binding(
            "up,k,home", "read(-1)", "A line up", id="consent.line_up", show=False, priority=True,
            tooltip="Read a line back",
        ),
    ]  # fmt: skip

    def __init__(self, request: Request, origin: Origin) -> None:
        super().__init__()
        self._request = request
        self._origin = origin

    def compose(self) -> ComposeResult:
        """What it asks for, and the two answers."""
        request = self._request
        verb = "Update" if request.is_update else "Install"
        with Vertical(id="box") as box:
            box.border_title = Content(f"{verb} {request.id} {request.version}?")
            box.border_subtitle = Content("y and Enter agree, Esc does not, Page Down reads on")
            with VerticalScroll(id="asks", can_focus=False):
                yield Static(consent_text(request, self._origin))
            yield RowList()

    def on_mount(self) -> None:
        """The cursor stands on No."""
        word = "update" if self._request.is_update else "install"
        texts = {_NO: f"No, do not {word} it", _YES: f"Yes, {word} it; it stays off until I switch it on"}
        if self._request.is_update:
            texts[_YES] = "Yes, update it, with what it asks for now"
        self.query_one(RowList).set_rows([_row(key, text) for key, text in texts.items()], keep=_NO)

    def on_resize(self) -> None:
        """Keep the answers in view, however long the list is."""
        self.query_one("#asks").styles.max_height = max(3, self.size.height - 7)

    def action_refuse(self) -> None:
        """No."""
        self.dismiss(False)

    def action_lean_to_yes(self) -> None:
        """Move to Yes; it takes Enter to agree, so that one key hit by mistake does not."""
        self.query_one(RowList).cursor = 1

    def action_scroll(self, direction: int) -> None:
        """Read on, or back."""
        asks = self.query_one("#asks", VerticalScroll)
        asks.scroll_relative(y=direction * max(1, asks.size.height - 1), animate=False)

    def action_read(self, lines: int) -> None:
        """Read on, or back, by a line; whoever still reads has not agreed."""
        self.query_one(RowList).cursor = 0
        self.query_one("#asks", VerticalScroll).scroll_relative(y=lines, animate=False)

    @on(RowList.Chosen)
    def _answer(self, event: RowList.Chosen) -> None:
        self.dismiss(event.key == _YES)


def _row(key: str, text: str) -> Row:
    return Row(key, lambda _: Content(text))


def consent_text(request: Request, origin: Origin) -> Content:
    """All that is put before the user, but the answers."""
    lines: list[Content] = []
    if request.warnings:
        lines += [*(Content.styled(f"! {warning}", "$warning") for warning in request.warnings), Content("")]
    if request.is_update and request.more:
        than = f"{origin.before} did" if origin.before else "you agreed to"
        lines += [Content.styled(f"It now asks for more than {than}:", "bold")]
        lines += _changes(request)
    elif request.is_update:
        lines += [Content.styled("It asks for nothing more than you agreed to.", "bold")]
    elif request.asks:
        lines += _grouped(request.asks)
    else:
        lines += [Content("It asks for nothing, and adds nothing.")]
    lines += [Content(""), Content.styled(_DECLARED, "$foreground-muted"), _code(origin)]
    return Content("\n").join(lines)


def _changes(request: Request) -> Iterable[Content]:
    """The difference, then how much stays as it is."""
    for ask in request.more:
        yield Content.assemble(("+ ", "$success bold"), ask.words, _MARK)
    same = len(set(request.asks) - set(request.more))
    if same:
        agreed = f"  and {counted(same, 'thing')} that you agreed to before"
        yield Content.styled(agreed, "$foreground-muted")


def _grouped(asks: Sequence[Ask]) -> Iterable[Content]:
    """Under headings, what matters most first."""
    for heading in dict.fromkeys(_HEADINGS.values()):
        under = [ask for ask in asks if _HEADINGS[ask.kind] == heading]
        if under:
            yield Content.styled(heading, "bold")
            yield from (Content.assemble(("• ", "$accent"), ask.words, _MARK) for ask in under)


def _code(origin: Origin) -> Content:
    """The file that is agreed to, in the first digits of its hash."""
    arrow = f"{origin.before_sha256[:12]} → " if origin.before_sha256 else ""
    size = f", {size_words(origin.size)}" if origin.size else ""
    text = f"File {arrow}{origin.sha256[:12]}{size}, signed by {origin.marketplace}."
    return Content.styled(text, "$foreground-muted")

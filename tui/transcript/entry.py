"""One message as the transcript holds it.

Its source, its parts once it was looked at, their rows once they were seen.
"""

from collections import deque
from typing import Final, Literal

from tui.transcript import code, rows
from tui.transcript.blocks import BlockParser
from tui.transcript.heights import Heights
from tui.transcript.inline import Inline, define_links, parse_inline
from tui.transcript.messages import Role, TranscriptMessage
from tui.transcript.parts import Part
from tui.transcript.syntax import split_row

SLICE: Final = 16_384
"""Characters that are handed to the block parser between two looks at the clock."""
AT_ONCE: Final = 65_536
"""Characters of a loaded message that are split into parts at once; more is done in slices."""
_RUN: Final = 8
"""Pieces of code through which the lexer's state is carried; bounds the work of a jump into a long fence."""

SectionKind = Literal["space", "label", "thinking", "part", "note"]


class Section:
    """What is measured and cached as one: a part, or a line around the message.

    `width` is that for which its height is exact, 0 while it is an estimate.
    """

    __slots__ = ("before", "height", "kind", "muted", "part", "rows", "width")

    def __init__(
        self, kind: SectionKind, part: Part | None = None, before: Part | None = None, *, muted: bool = False
    ) -> None:
        self.kind: SectionKind = kind
        self.part = part
        self.before = before
        self.muted = muted
        self.rows: list[rows.Row] | None = None
        self.width = 0
        self.height = 1

    def estimate(self, width: int) -> int:
        """A guess at the height, from the length of the text."""
        part = self.part
        if part is None:
            return self.height
        if part.kind in ("code", "html", "table"):
            return part.gap + max(part.text.count("\n"), 1) + 1
        return part.gap + len(part.text) // max(width - 2 * len(part.path), 8) + 1


class Entry:
    """A message. Nothing in it is parsed before it is first looked at."""

    def __init__(self, message: TranscriptMessage, serial: int, *, is_open: bool = False) -> None:
        self.id = message.id
        self.role: Role = message.role
        self.label = message.label
        self.note = message.note
        self.serial = serial
        self.is_open = is_open
        self.first = False
        self.expanded = False
        self.sections: list[Section] = []
        self.heights = Heights()
        self.pending: deque[str] = deque()
        self._source = [message.markdown] if message.markdown else []
        self._thinking = [message.thinking] if message.thinking else []
        self._body: BlockParser | None = None
        self._thoughts: BlockParser | None = None
        self._size = len(message.markdown)
        self._final = 0
        self._taken = 0
        self._complete = False
        self._stale = True
        self._stacks: dict[tuple[bool, int, int], code.Stack] = {}

    @property
    def markdown(self) -> str:
        """The whole source."""
        if len(self._source) > 1:
            self._source = ["".join(self._source)]
        return self._source[0] if self._source else ""

    @property
    def thinking(self) -> str:
        """All that the model thought."""
        if len(self._thinking) > 1:
            self._thinking = ["".join(self._thinking)]
        return self._thinking[0] if self._thinking else ""

    @property
    def answered(self) -> bool:
        """Whether the answer itself has begun."""
        return bool(self._source)

    @property
    def prepared(self) -> bool:
        """Whether it was split into parts."""
        return self._body is not None

    @property
    def settled(self) -> bool:
        """Whether all text that came has been split into parts."""
        return not self.pending

    def append(self, delta: str) -> None:
        """Take more of the answer."""
        if not self._source:
            self._stale = True
        self._source.append(delta)
        self._size += len(delta)
        if self._body is not None:
            self.pending.extend(_slices(delta))

    def append_thinking(self, delta: str) -> None:
        """Take more of the thinking."""
        if not self._thinking or self.answered:
            self._stale = True
        self._thinking.append(delta)
        if self._thoughts is None:
            self._thoughts = BlockParser(define_links)
        self._thoughts.feed(delta)

    def close(self, note: str) -> None:
        """No more text will come."""
        self.is_open = False
        self.note = note or self.note
        self._stale = self._stale or not self.answered

    def replace(self, markdown: str) -> None:
        """Put another text in the place of the answer."""
        self._source = [markdown] if markdown else []
        self._size = len(markdown)
        self.forget()

    def forget(self) -> None:
        """Drop everything that can be made again from the source."""
        self._body = None
        self.pending.clear()
        self.sections, self.heights = [], Heights()
        self._stacks.clear()
        self._final = self._taken = 0
        self._complete = False
        self._stale = True

    def toggle_thinking(self) -> None:
        """Show or hide what the model thought."""
        self.expanded = not self.expanded
        self._stale = True

    def estimate(self, width: int) -> int:
        """Height in lines, guessed if the message was never looked at."""
        if self.prepared:
            return self.heights.total
        return 3 + self._size // max(width, 8) + (self._size >> 6)

    def prepare(self, width: int) -> None:
        """Split the message into parts, all of it unless it is very long."""
        if self._body is None:
            self._start()
            if self._size <= AT_ONCE:
                while self.feed():
                    pass
            self.sync(width)

    def feed(self) -> bool:
        """Give one slice of the waiting text to the parser; False if there was none."""
        parser = self._body or self._start()
        if not self.pending:
            return False
        text = self.pending.popleft()
        while self.pending and len(text) + len(self.pending[0]) <= SLICE:
            text += self.pending.popleft()
        parser.feed(text)
        return True

    def _start(self) -> BlockParser:
        """Begin to split the message: all of its text is still to come."""
        self._body = BlockParser(define_links)
        self.pending = deque(_slices(self.markdown))
        return self._body

    def sync(self, width: int) -> int:
        """Bring the sections in line with the text so far. Return the first one that may have changed."""
        if self._body is None:
            return 0
        if not self.is_open and self.settled and not self._complete:
            self._complete = True
            self._body.finish()
            if self._body.references:
                self._stale = True
        old = self.sections[self._final :]
        rebuilt = self._stale
        if rebuilt:
            self._rebuild()
        start = self._final
        parser = self._body if self.answered or self._thoughts is None else self._thoughts
        muted = parser is not self._body
        del self.sections[start:]
        self.heights.truncate(start)
        for part in parser.parts[self._taken :]:
            self._push(self._reuse(part, old, start, muted), width)
        self._final, self._taken = len(self.sections), len(parser.parts)
        if muted or not self._complete:
            for part in parser.preview():
                self._push(self._reuse(part, old, start, muted), width)
        if self.note and not self.is_open:
            self._push(Section("note"), width)
        return 0 if rebuilt else start

    def _reuse(self, part: Part, old: list[Section], start: int, muted: bool) -> Section:
        index = len(self.sections) - start
        if index < len(old) and old[index].part == part and old[index].muted == muted:
            return old[index]
        before = self.sections[-1].part if self.sections else None
        return Section("part", part, before, muted=muted)

    def _push(self, section: Section, width: int) -> None:
        if section.width != width:
            section.height = section.estimate(width)
        self.sections.append(section)
        self.heights.append(section.height)

    def _rebuild(self) -> None:
        """Start the list of sections again: what stands above the text has changed."""
        self._stale = False
        self.sections, self.heights = [], Heights()
        self._final = self._taken = 0
        self._stacks.clear()
        head = [] if self.first else [Section("space")]
        if self.label:
            head.append(Section("label"))
        if self._thinking:
            head.append(Section("thinking"))
            if self._thoughts is None:
                self._thoughts = BlockParser(define_links)
                self._thoughts.feed(self.thinking)
            if self.expanded and (self.answered or not self.is_open):
                parts = [*self._thoughts.parts, *self._thoughts.preview()]
                before: Part | None = None
                for part in parts:
                    head.append(Section("part", part, before, muted=True))
                    before = part
            if self.answered:
                head.append(Section("space"))
        for section in head:
            self._push(section, 80)
        self._final = len(self.sections)

    def render(self, index: int, width: int) -> list[rows.Row]:
        """Return the rows of a section, made now if they are not at hand."""
        section = self.sections[index]
        if section.rows is None or section.width != width:
            section.rows = self._rows(index, section, width)
            section.width, section.height = width, len(section.rows)
        return section.rows

    def _rows(self, index: int, section: Section, width: int) -> list[rows.Row]:
        match section.kind:
            case "space":
                return [rows.Row([])]
            case "label":
                return rows.plain(self.label, width, ("label", 0))
            case "note":
                return [rows.Row([]), *rows.plain(self.note, width, ("note", 0))]
            case "thinking":
                return rows.plain(self._summary(), width, ("thinking-head", 0))
            case "part":
                pass
        part = section.part
        if part is None:
            return []
        made = self._part_rows(index, part, width, section.muted)
        return [rows.gap(part, section.before, width), *made] if part.gap else made

    def _summary(self) -> str:
        words = len(self.thinking.split())
        sign = "▾" if self.expanded else "▸"
        if self.is_open and not self.answered:
            return "▾ Thinking…"
        return f"{sign} Thought for a while ({words:,} word{'s' if words != 1 else ''})"

    def _part_rows(self, index: int, part: Part, width: int, muted: bool) -> list[rows.Row]:
        base = "thinking" if muted else "text"
        match part.kind:
            case "paragraph":
                return rows.paragraph(part, self._inline(part.text, muted), width, base)
            case "heading":
                return rows.paragraph(
                    part, self._inline(part.text, muted), width, base if muted else f"h{min(part.level, 4)}"
                )
            case "code":
                return rows.code(part, self._highlighted(index, part, muted), width)
            case "html":
                return rows.literal(part, width)
            case "rule":
                return rows.rule(part, width)
            case "empty":
                return rows.empty(part, width)
            case "table":
                return self._table(index, part, width, muted)

    def _inline(self, text: str, muted: bool) -> Inline:
        parser = self._thoughts if muted else self._body
        references = parser.references if parser is not None else {}
        return parse_inline(text, references, breaks=self.role == "user")

    def _highlighted(self, index: int, part: Part, muted: bool) -> list[code.Spans]:
        first = part.chunk - part.chunk % _RUN
        stack = code.ROOT
        for chunk in range(first, part.chunk):
            key = (muted, part.leaf, chunk + 1)
            if key not in self._stacks:
                before = self.sections[index - part.chunk + chunk].part
                _, self._stacks[key] = code.highlight(before.text if before else "", part.info, stack)
            stack = self._stacks[key]
        return code.highlight(part.text, part.info, stack)[0]

    def _table(self, index: int, part: Part, width: int, muted: bool) -> list[rows.Row]:
        leader = self.sections[index - part.chunk].part or part
        columns = leader.info.count(",") + 1
        room = width - sum(len(text) for text, _ in rows.prefixes(part, width)[1])
        widths = rows.column_widths(self._cells(leader, columns, muted), columns, room)
        return rows.table(part, self._cells(part, columns, muted), widths, width)

    def _cells(self, part: Part, columns: int, muted: bool) -> list[list[Inline]]:
        return [
            [self._inline(cell, muted) for cell in split_row(line)[:columns]]
            for line in part.text.split("\n")
        ]

    def code_blocks(self) -> list[int]:
        """The leaves of the answer that are code, in order."""
        return [
            section.part.leaf
            for section in self.sections
            if section.part is not None
            and section.part.kind == "code"
            and not section.part.chunk
            and not section.muted
        ]

    def code_text(self, leaf: int) -> str:
        """The exact code of a block."""
        return "".join(
            section.part.text
            for section in self.sections
            if self.in_code(section, leaf) and section.part is not None
        )

    @staticmethod
    def in_code(section: Section, leaf: int) -> bool:
        """Whether a section belongs to that code block."""
        return (
            section.part is not None
            and not section.muted
            and section.part.kind == "code"
            and section.part.leaf == leaf
        )

    def first_section(self, leaf: int) -> int:
        """The section with which a code block starts."""
        return next((index for index, section in enumerate(self.sections) if self.in_code(section, leaf)), 0)


def _slices(text: str) -> list[str]:
    return [text[start : start + SLICE] for start in range(0, len(text), SLICE)]

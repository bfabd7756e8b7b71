"""The block structure of Markdown, one line at a time.

CommonMark's block structure is decided line by line (specification, appendix "A parsing strategy"). Parsing
it so, instead of handing the whole text to a parser again and again, gives what a transcript needs: a
finished line is looked at once, the cost of a line does not depend on what came before it, and the result
cannot depend on how the text was cut into deltas. Only what is inside a leaf (emphasis, links, code) is
parsed later, when it comes into view (`inline`).

The output is a flat list of [Part][tui.transcript.parts.Part]: one leaf block, or a bounded piece of a very
long one, with the containers around it.
"""

from collections.abc import Callable
from copy import copy
from dataclasses import replace
from typing import Final

from tui.transcript import syntax
from tui.transcript.parts import Container, Item, Kind, OpenLeaf, Part, Quote, gap_between

MAX_PIECE: Final = 2048
"""Characters of one line, or of one paragraph, that are handled as a unit."""
MAX_LINES: Final = 40
"""Lines of code, or rows of a table, in one part."""


DefineLinks = Callable[[str, dict[str, object]], str]
"""Takes a paragraph and the references so far; adds those that it defines and returns what is left of it."""


class BlockParser:
    """Turns text that arrives in deltas into parts.

    `parts` only ever grows: what is in it is final. What the unfinished rest would be if the text ended here
    is given by [preview][tui.transcript.blocks.BlockParser.preview].
    """

    def __init__(self, define_links: DefineLinks) -> None:
        self.parts: list[Part] = []
        self.references: dict[str, object] = {}
        self._define_links = define_links
        self._tail = ""
        self._middle = False
        self._containers: list[Container] = []
        self._bare = False
        self._leaf: OpenLeaf | None = None
        self._blank = False
        self._drawn = 0
        self._last: tuple[Container, ...] | None = None
        self._serial = 0

    def feed(self, text: str) -> None:
        """Take more text. Complete lines become final; the unfinished last one waits."""
        text = self._tail + text if self._tail else text
        start = 0
        while True:
            end = text.find("\n", start, start + MAX_PIECE + 1)
            if end >= 0:
                self._take(text[start:end].removesuffix("\r"), ended=True)
                start = end + 1
            elif len(text) - start > MAX_PIECE:
                cut = text.rfind(" ", start + MAX_PIECE // 2, start + MAX_PIECE) + 1 or start + MAX_PIECE
                self._take(text[start:cut], ended=False)
                start = cut
            else:
                self._tail = text[start:]
                return

    def finish(self) -> None:
        """The text is complete: close everything that is open."""
        if self._tail or self._middle:
            tail, self._tail = self._tail, ""
            self._take(tail.removesuffix("\r"), ended=True)
        self._close_leaf()
        self._close_containers(0)

    def preview(self) -> list[Part]:
        """What would follow `parts` if the text ended here.

        Costs one line and one open leaf, whatever came before.
        """
        fork = copy(self)
        fork._detach()  # noqa: SLF001 (a copy of ourselves)
        fork.finish()
        return fork.parts

    def _detach(self) -> None:
        """Share nothing that changes with the parser that this is a copy of."""
        self.parts = []
        self.references = dict(self.references)
        self._containers = list(self._containers)
        if self._leaf is not None:
            self._leaf = copy(self._leaf)
            self._leaf.lines = list(self._leaf.lines)

    def _take(self, text: str, *, ended: bool) -> None:
        if self._middle:
            self._continue_line(text)
        else:
            self._line(text)
        self._middle = not ended

    def _continue_line(self, text: str) -> None:
        """The next piece of a line longer than MAX_PIECE: more of the same leaf, never a new block."""
        if not text:
            return
        leaf = self._leaf
        if leaf is None:
            self._open("paragraph", gap=0)
            self._add(text)
        elif leaf.part.kind in ("code", "html"):
            if not leaf.lines:
                return
            if leaf.size + len(text) > MAX_PIECE:
                self._split()
            leaf.lines[-1] += text
            leaf.size += len(text)
        else:
            if leaf.lines:
                self._split()
            self._add(text)

    def _line(self, text: str) -> None:
        cursor = syntax.LineCursor(text)
        depth = self._match_containers(cursor)
        matched = depth == len(self._containers)
        if matched and self._continues_leaf(cursor):
            return
        if not matched and self._leaf is not None and self._leaf.part.kind != "paragraph":
            self._close_containers(depth)
            matched = True
        self._start_blocks(cursor, depth, matched)

    def _match_containers(self, cursor: syntax.LineCursor) -> int:
        """Return how many of the open containers this line continues."""
        blank = not cursor.text()
        last = len(self._containers) - 1
        for depth, container in enumerate(self._containers):
            indent = cursor.indent()
            if isinstance(container, Quote):
                if blank or indent > 3 or not cursor.text().startswith(">"):
                    return depth
                cursor.enter_quote(indent)
                blank = not cursor.text()
            elif blank:
                if self._bare and depth == last:
                    return depth
                cursor.skip(container.indent)
            elif indent >= container.indent:
                cursor.skip(container.indent)
            else:
                return depth
        return len(self._containers)

    def _continues_leaf(self, cursor: syntax.LineCursor) -> bool:
        """Whether the line belongs to an open block whose content is not looked at: code or HTML."""
        leaf = self._leaf
        if leaf is None or leaf.part.kind not in ("code", "html"):
            return False
        indent, text = cursor.indent(), cursor.text()
        if leaf.fence:
            mark = text.rstrip(" \t")
            if indent <= 3 and len(mark) >= len(leaf.fence) and not mark.strip(leaf.fence[0]):
                self._close_leaf()
            else:
                cursor.skip(min(indent, leaf.fence_indent))
                self._add(cursor.rest())
            return True
        if leaf.html is not None:
            if not text and leaf.html.end is None:
                self._close_leaf()
                return False
            self._add(cursor.rest())
            if leaf.html.end is not None and leaf.html.end.search(text):
                self._close_leaf()
            return True
        return self._continues_indented(leaf, cursor, indent, text)

    def _continues_indented(self, leaf: OpenLeaf, cursor: syntax.LineCursor, indent: int, text: str) -> bool:
        if not text:
            cursor.skip(4)
            if len(leaf.blanks) < MAX_LINES:
                leaf.blanks += (cursor.rest(),)
            return True
        if indent < 4:
            self._close_leaf()
            return False
        for blank in leaf.blanks:
            self._add(blank)
        leaf.blanks = ()
        cursor.skip(4)
        self._add(cursor.rest())
        return True

    def _start_blocks(self, cursor: syntax.LineCursor, depth: int, matched: bool) -> None:
        """Open the containers that this line starts, then its leaf.

        While `matched` is false the line has left a container that holds an open paragraph, and may yet
        continue it lazily.
        """
        while text := cursor.text():
            indent = cursor.indent()
            paragraph = self._leaf is not None and self._leaf.part.kind == "paragraph"
            if indent > 3:
                if paragraph:
                    break
                self._close_containers(depth)
                cursor.skip(4)
                self._open("code")
                self._add(cursor.rest())
                return
            if text[0] == ">":
                self._close_containers(depth)
                cursor.enter_quote(indent)
                self._push(Quote(self._next_serial()))
            elif self._start_leaf(text, indent, depth, matched):
                return
            elif item := self._item(cursor, text, indent, depth, interrupting=paragraph and matched):
                self._close_containers(depth)
                self._push(item)
                self._bare = not cursor.text()
            else:
                break
            depth, matched = len(self._containers), True
        self._plain(cursor, depth, matched)

    def _start_leaf(self, text: str, indent: int, depth: int, matched: bool) -> bool:
        """Open or finish the leaf that this line starts; False if it is plain text or a list item."""
        paragraph = self._leaf is not None and self._leaf.part.kind == "paragraph"
        flowing = self._leaf is not None and self._leaf.part.kind in ("paragraph", "table")
        first = text[0]
        if first == "#" and (mark := syntax.ATX.match(text)):
            self._close_containers(depth)
            content = syntax.ATX_END.sub("", text[mark.end() :].rstrip(" \t"))
            self._whole("heading", content, level=len(mark[1]))
        elif first in "`~" and (mark := syntax.FENCE.match(text)):
            self._close_containers(depth)
            info = (mark[2] if mark[1] else mark[4]).strip()
            leaf = self._open("code", info=info.split(maxsplit=1)[0] if info else "")
            leaf.fence, leaf.fence_indent = mark[1] or mark[3], indent
        elif first == "<" and (html := syntax.html_start(text, interrupting=flowing)):
            self._close_containers(depth)
            self._open("html").html = html
            self._add(" " * indent + text)
            if html.end is not None and html.end.search(text):
                self._close_leaf()
        elif matched and paragraph and (first in "|:-=") and self._finishes_paragraph(text):
            return True
        elif first in "*-_" and syntax.RULE.match(text):
            self._close_containers(depth)
            self._whole("rule", "")
        else:
            return False
        return True

    def _finishes_paragraph(self, text: str) -> bool:
        """Whether the line makes the open paragraph a heading, or its last line the head of a table."""
        leaf = self._leaf
        if leaf is None or not leaf.lines:
            return False
        aligns = syntax.alignments(leaf.lines[-1], text) if leaf.header_ok else ()
        if aligns:
            header = leaf.lines.pop()
            if leaf.lines:
                self._close_leaf()
                self._open("table", info=",".join(aligns))
            else:
                leaf.part = replace(leaf.part, kind="table", info=",".join(aligns))
                leaf.size = 0
            self._add(header)
            return True
        if syntax.SETEXT.match(text) and self._strip_definitions(leaf):
            leaf.part = replace(leaf.part, kind="heading", level=1 if text[0] == "=" else 2)
            self._close_leaf()
            return True
        return False

    def _item(
        self, cursor: syntax.LineCursor, text: str, indent: int, depth: int, *, interrupting: bool
    ) -> Item | None:
        """Return the list item that starts here, with the cursor on its content; None if none does."""
        mark = syntax.item_mark(text)
        if mark is None:
            return None
        kind, start, length = mark
        content = text[length:].strip(" \t")
        if interrupting and (not content or start not in (None, 1)):
            return None
        cursor.skip(indent)
        cursor.take(length)
        space = cursor.indent()
        width = 1 if not content or space > 4 else space
        cursor.skip(width)
        before = self._containers[depth] if depth < len(self._containers) else None
        serial = self._next_serial()
        if isinstance(before, Item) and before.mark == kind:
            number = None if before.number is None else before.number + 1
            return Item(serial, before.list, kind, number, indent + length + width)
        return Item(serial, serial, kind, start, indent + length + width)

    def _plain(self, cursor: syntax.LineCursor, depth: int, matched: bool) -> None:
        """What is left of a line: text of a paragraph or table, or nothing."""
        text, indent = cursor.text(), cursor.indent()
        leaf = self._leaf
        if not matched and text and leaf is not None and leaf.part.kind == "paragraph":
            self._add(text)
            leaf.header_ok = False
            return
        self._close_containers(depth)
        leaf = self._leaf
        if not text:
            if leaf is not None:
                self._close_leaf()
            self._blank = self._blank or not self._bare
            return
        if leaf is None:
            leaf = self._open("paragraph")
        self._add(text)
        leaf.header_ok = indent <= 3

    def _next_serial(self) -> int:
        self._serial += 1
        return self._serial

    def _push(self, container: Container) -> None:
        self._close_leaf()
        self._containers.append(container)
        self._bare = False

    def _close_containers(self, depth: int) -> None:
        """Close the containers from `depth` on, with the leaf in them.

        An item that stayed empty still shows its mark.
        """
        if depth == len(self._containers):
            return
        self._close_leaf()
        if any(isinstance(container, Item) for container in self._containers[self._drawn :]):
            self._open("empty")
            self._close_leaf()
        del self._containers[depth:]
        self._drawn = min(self._drawn, depth)
        self._bare = False

    def _open(self, kind: Kind, *, info: str = "", level: int = 0, gap: int | None = None) -> OpenLeaf:
        self._close_leaf()
        path = tuple(self._containers)
        part = Part(
            kind=kind,
            text="",
            path=path,
            fresh=self._drawn,
            gap=gap_between(self._last, path, self._blank) if gap is None else gap,
            leaf=self._next_serial(),
            info=info,
            level=level,
        )
        self._leaf = OpenLeaf(part, undo=(self._drawn, self._last or (), self._last is None))
        self._drawn, self._last, self._blank, self._bare = len(path), path, False, False
        return self._leaf

    def _whole(self, kind: Kind, text: str, *, level: int = 0) -> None:
        self._open(kind, level=level)
        self._add(text)
        self._close_leaf()

    def _add(self, line: str) -> None:
        leaf = self._leaf
        if leaf is None:
            return
        full = (
            leaf.size + len(line) > MAX_PIECE
            if leaf.part.kind == "paragraph"
            else len(leaf.lines) >= MAX_LINES or leaf.size > MAX_PIECE
        )
        if leaf.lines and full:
            self._split(newline=True)
        leaf.lines.append(line)
        leaf.size += len(line) + 1

    def _split(self, *, newline: bool = False) -> None:
        """Make what the open leaf has so far final, and go on with its next piece."""
        leaf = self._leaf
        if leaf is None:
            return
        end = "\n" if leaf.part.kind == "code" and newline else ""
        self.parts.append(replace(leaf.part, text="\n".join(leaf.lines) + end))
        leaf.part = replace(leaf.part, text="", gap=0, fresh=len(leaf.part.path), chunk=leaf.part.chunk + 1)
        leaf.lines, leaf.size = ([] if newline or leaf.part.kind in ("paragraph", "table") else [""]), 0

    def _close_leaf(self) -> None:
        leaf, self._leaf = self._leaf, None
        if leaf is None:
            return
        if leaf.part.kind == "paragraph" and not self._strip_definitions(leaf):
            drawn, last, first = leaf.undo
            self._drawn, self._last, self._blank = drawn, None if first else last, True
            return
        end = "\n" if leaf.part.kind == "code" and leaf.lines else ""
        self.parts.append(replace(leaf.part, text="\n".join(leaf.lines) + end))
        self._blank = self._blank or bool(leaf.blanks)

    def _strip_definitions(self, leaf: OpenLeaf) -> bool:
        """Take link definitions off the start of a paragraph; False if nothing else is left of it."""
        if leaf.part.chunk or not leaf.lines or not leaf.lines[0].startswith("["):
            return True
        rest = self._define_links("\n".join(leaf.lines), self.references)
        leaf.lines = rest.split("\n") if rest else []
        return bool(rest)

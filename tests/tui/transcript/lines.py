"""What a transcript shows, as text: for tests."""

from tui.transcript.document import Document
from tui.transcript.entry import Entry
from tui.transcript.messages import TranscriptMessage
from tui.transcript.rows import Row


def rendered(document: Document) -> list[Row]:
    """All rows of a document."""
    return [
        row
        for index in range(len(document.entries))
        for section in range(len(document.prepare(index).sections))
        for row in document.rows(index, section)
    ]


def loaded(markdown: str, width: int = 60, **fields: str) -> Document:
    """A document of one message that came at once."""
    document = Document()
    document.width = width
    document.append(Entry(TranscriptMessage("m", "assistant", markdown, **fields), 1))
    return document


def streamed(deltas: list[str], width: int = 60) -> Document:
    """A document of one message that came in pieces, drawn after each."""
    document = Document()
    document.width = width
    entry = Entry(TranscriptMessage("m", "assistant", ""), 1, is_open=True)
    entry.prepare(width)
    document.append(entry)
    for delta in deltas:
        entry.append(delta)
        while entry.feed():
            pass
        document.sync(0)
        rendered(document)
    entry.close("")
    document.sync(0)
    return document


def show(markdown: str, width: int = 60) -> list[str]:
    """The lines that a message is drawn as, without blanks at their ends."""
    return [row.text.rstrip() for row in rendered(loaded(markdown, width))]

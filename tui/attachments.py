"""Files that go with a prompt: found in what was typed, looked at, read, and made fit for a model.

What a model reads and how large a request may be differs; the limits here are those that every hosted
provider takes: 5 MB for an image (Anthropic), 20 MB for a whole request (Gemini), in which bytes are a third
longer. Everything here blocks while it looks at the disk.
"""

from __future__ import annotations

import codecs
import os
import re
import shlex
import stat
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Literal, TypeAlias
from urllib.parse import unquote, urlsplit
from urllib.request import url2pathname

from registry.chat import FilePart, ImagePart, Message, Part, TextPart
from registry.errors import JackfieldError
from registry.text import safe_text

Kind: TypeAlias = Literal["image", "file", "text"]
"""What it is to a model, as `Model.modalities` names it."""
Reads: TypeAlias = Callable[[str], bool | None]
"""Whether a model reads a modality; None when that is not known."""

MOST_BYTES: Final[dict[Kind, int]] = {"image": 5_000_000, "file": 14_000_000, "text": 500_000}
MOST_TOGETHER: Final = 14_000_000
"""Bytes of all attachments of a conversation, since each request carries the whole of it."""
_HEAD: Final = 4096
_KINDS: Final[dict[Kind, str]] = {"image": "image", "file": "PDF", "text": "text"}
_PLURALS: Final[dict[str, str]] = {"image": "images", "file": "PDFs"}
_REFERENCE: Final = re.compile(
    r"""(?<![^\s(\[{<])@(?:"([^"\n]+)"|'([^'\n]+)'|((?:\\.|[^\s\\"'@])(?:\\.|[^\s\\])*))"""
)
"""`@` and a path, where a word may begin; so no address of mail is one."""
_OPEN_REFERENCE: Final = re.compile(r"""(?<![^\s(\[{<])@(?:"([^"\n]*)|([^\s"']*))$""")
_AFTER_PATH: Final = ".,;:!?)]}>'\""
_FILE_NAME: Final = re.compile(r"\.(png|jpe?g|gif|webp|pdf|txt|md|csv|json|log|py)$", re.IGNORECASE)
_PICTURE_NAME: Final = re.compile(r"\.(png|jpe?g|gif|webp|heic|bmp|tiff?|avif|ico|pdf)$", re.IGNORECASE)
_MOST_ENTRIES: Final = 5000
_MOST_PASTED: Final = 20


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file that can go with a prompt."""

    path: Path
    name: str
    kind: Kind
    media_type: str
    size: int
    """Bytes."""

    def __str__(self) -> str:
        return f"{_KINDS[self.kind]}, {in_bytes(self.size)}"


@dataclass(frozen=True, slots=True)
class Refused:
    """A file that cannot, and why."""

    name: str
    error: JackfieldError


def look_at_all(prompt: str, reads: Reads | None = None, *, before: int = 0) -> list[Attachment | Refused]:
    """The files that a prompt names, each once.

    Args:
        prompt: what was typed. `@path` names a file when there is one, or when it can mean nothing else.
        reads: what the model reads.
        before: bytes of the attachments that the conversation has already.
    """
    found: dict[Path | str, Attachment | Refused] = {}
    for match in _REFERENCE.finditer(prompt):
        quoted = match[1] or match[2]
        item = look_at(quoted, reads) if quoted else _look_at_word(match[3], reads)
        if item is not None:
            found.setdefault(item.path if isinstance(item, Attachment) else item.name, item)
    return _within_limit(list(found.values()), before)


def look_at_paths(paths: Iterable[str], reads: Reads | None = None) -> list[Attachment | Refused]:
    """The files at these paths, or why they cannot be attached."""
    return _within_limit([look_at(path, reads) for path in paths], 0)


def look_at(typed: str, reads: Reads | None = None) -> Attachment | Refused:
    """The file at a path, or why it cannot be attached."""
    path = _expanded(typed)
    name = safe_text(path.name or typed, single_line=True, limit=80)
    try:
        status = path.stat()
        if stat.S_ISDIR(status.st_mode):
            return _refused(name, "is a folder", "Name a file in it.")
        if not stat.S_ISREG(status.st_mode):  # a pipe would hold us up for ever
            return _refused(name, "is no ordinary file", "Name an image, a PDF or a text file.")
        with path.open("rb") as file:
            head = file.read(_HEAD)
    except FileNotFoundError:
        return _refused(name, "is not there", "Correct its path, or put a blank after @ to send it as text.")
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        return _refused(name, "cannot be read", "Correct its path or its permissions.", reason)
    return _judge(path, name, status.st_size, head, reads)


def read(attachment: Attachment) -> Part:
    """The file as a part of a message.

    Raises:
        JackfieldError: it cannot be read, or is not what it was when it was looked at.
    """
    most = MOST_BYTES[attachment.kind]
    try:
        with attachment.path.open("rb") as file:
            data = file.read(most + 1)
    except OSError as error:
        raise _refused(attachment.name, "cannot be read", "Try again.", error.strerror or "").error from error
    judged = _judge(attachment.path, attachment.name, len(data), data[:_HEAD], None)
    if isinstance(judged, Refused):
        raise judged.error
    if judged.kind == "image":
        return ImagePart(judged.media_type, data, name=judged.name)
    if judged.kind == "text":
        try:
            data.decode()
        except UnicodeDecodeError as error:
            raise _unknown_kind(judged.name).error from error
    return FilePart(judged.name, judged.media_type, data)


def fit(message: Message, reads: Reads) -> Message:
    """A message as a model can read it: text files as text, a word in place of what it surely cannot see."""
    parts = tuple(_fitting(part, reads) for part in message.parts)
    return replace(message, parts=parts) if parts != message.parts else message


def unread(messages: Iterable[Message], reads: Reads) -> list[str]:
    """The names of the attachments that a model surely cannot see."""
    parts = (part for message in messages for part in message.parts)
    return [name_of(part) for part in parts if _modality(part) and reads(_modality(part)) is False]


def in_lines(message: Message) -> list[str]:
    """The attachments of a message in words: `cat.png (image, 34 kB)`."""
    lines = []
    for part in message.parts:
        if isinstance(part, ImagePart | FilePart):
            kind: Kind = "text" if _is_text(part) else "image" if isinstance(part, ImagePart) else "file"
            size = f", {in_bytes(len(part.data))}" if part.data is not None else ""
            lines.append(f"{name_of(part)} ({_KINDS[kind]}{size})")
    return lines


def bytes_of(messages: Iterable[Message]) -> int:
    """How many bytes the attachments of messages have."""
    parts = (part for message in messages for part in message.parts)
    return sum(len(part.data or b"") for part in parts if isinstance(part, ImagePart | FilePart))


def name_of(part: Part) -> str:
    """What to call an attachment, safe to show."""
    name = part.name if isinstance(part, ImagePart | FilePart) else ""
    return safe_text(name or part.type, single_line=True, limit=80)


def in_bytes(size: int) -> str:
    """A size for people: `812 B`, `34 kB`, `1.2 MB`."""
    if size < 1000:
        return f"{size} B"
    return f"{size / 1000:.0f} kB" if size < 999_500 else f"{size / 1e6:.1f} MB"


def as_references(pasted: str) -> str | None:
    """What a terminal pastes for files that are dragged into it, as references; None when it is other text.

    It is one or more absolute paths, each quoted or escaped as a shell wants it, or addresses of files.
    """
    text = pasted.strip()
    if not text or len(text) > _HEAD or not re.match(r"""['"]?(/|~/|file://|[A-Za-z]:[\\/])""", text):
        return None
    whole = [text.strip("'\""), _unescaped(text)]
    paths = next(([path] for path in whole if "\n" not in path and _is_file(path)), None)
    if paths is None:
        try:
            paths = shlex.split(text, posix=os.name != "nt")
        except ValueError:
            return None
        if len(paths) > _MOST_PASTED or not all(map(_is_file, paths)):
            return None
    return " ".join(_reference(str(_expanded(path))) for path in paths) + " "


def complete(before: str) -> tuple[str, tuple[str, ...]] | None:
    """Complete the path at the end of a text, as far as there is but one way to go on.

    Gives the text with the longer path, and the names that fit; None when no path ends there.
    """
    match = _OPEN_REFERENCE.search(before)
    if match is None:
        return None
    typed = match[1] if match[1] is not None else match[2]
    folder, _, start = typed.rpartition("/")
    head = f"{folder}/" if "/" in typed else ""
    try:
        with os.scandir(_expanded(head or ".")) as entries:
            names = sorted(
                entry.name + ("/" if entry.is_dir() else "")
                for _, entry in zip(range(_MOST_ENTRIES), entries, strict=False)
                if entry.name.startswith(start) and (start or not entry.name.startswith("."))
            )
    except (OSError, ValueError):
        return before, ()
    shown = tuple(name for name in names if safe_text(name, single_line=True) == name)
    if not shown:
        return before, ()
    path = head + _beginning(shown)
    ended = len(shown) == 1 and not path.endswith("/")
    written = (
        _reference(path) if ended else f'@"{path}' if match[1] is not None or " " in path else f"@{path}"
    )
    return before[: match.start()] + written + (" " if ended else ""), shown


def _beginning(names: Sequence[str]) -> str:
    """What all names begin with."""
    first, last = min(names), max(names)
    same = (at for at, (one, other) in enumerate(zip(first, last, strict=False)) if one != other)
    return first[: next(same, min(len(first), len(last)))]


def _look_at_word(word: str, reads: Reads | None) -> Attachment | Refused | None:
    """A word after `@`: a file, if there is one of that name, perhaps before a full stop or the like."""
    path = _unescaped(word)
    while path and not _exists(path):
        if path[-1] not in _AFTER_PATH:
            break
        path = path[:-1]
    certain = path.startswith(("/", "~/", "./", "../")) or _FILE_NAME.search(path) is not None
    if not path or (not certain and not _is_file(path)):
        return None
    return look_at(path, reads)


def _judge(path: Path, name: str, size: int, head: bytes, reads: Reads | None) -> Attachment | Refused:
    if not size:
        return _refused(name, "is empty", "Name another file.")
    known = _kind_of(name, head)
    if known is None:
        return _unknown_kind(name)
    kind, media_type = known
    if reads is not None and reads(kind) is False:
        return _refused(
            name, f"cannot be sent: the model reads no {_PLURALS[kind]}", "Choose another with F3."
        )
    if size > MOST_BYTES[kind]:
        most = in_bytes(MOST_BYTES[kind])
        return _refused(name, f"is too large ({in_bytes(size)})", f"A file of this kind may have {most}.")
    return Attachment(path, name, kind, media_type, size)


def _kind_of(name: str, head: bytes) -> tuple[Kind, str] | None:
    """What a file is, by its first bytes: names lie."""
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image", "image/png"
    if head.startswith(b"\xff\xd8\xff"):
        return "image", "image/jpeg"
    if head.startswith((b"GIF87a", b"GIF89a")):
        return "image", "image/gif"
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "image", "image/webp"
    if head.startswith(b"%PDF-"):
        return "file", "application/pdf"
    if b"\0" in head or _PICTURE_NAME.search(name):
        return None
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head)  # which may end within a character
    except UnicodeDecodeError:
        return None
    return "text", "text/plain"


def _within_limit(items: Sequence[Attachment | Refused], before: int) -> list[Attachment | Refused]:
    """The same, with those refused that are too much together with what is there already."""
    judged: list[Attachment | Refused] = []
    for item in items:
        if isinstance(item, Attachment):
            before += item.size
            if before > MOST_TOGETHER:
                most = in_bytes(MOST_TOGETHER)
                item = _refused(
                    item.name,
                    "is too much for one conversation",
                    f"Its attachments may have {most} together; Ctrl+N begins a new one.",
                )
        judged.append(item)
    return judged


def _refused(name: str, what: str, hint: str, detail: str = "") -> Refused:
    return Refused(name, JackfieldError(f"{name} {what}", detail=safe_text(detail, limit=200), hint=hint))


def _unknown_kind(name: str) -> Refused:
    return _refused(
        name, "is of a kind that models do not read", "PNG, JPEG, GIF, WebP, PDF and UTF-8 text can be sent."
    )


def _fitting(part: Part, reads: Reads) -> Part:
    if isinstance(part, FilePart) and _is_text(part):
        text = part.data.decode("utf-8", "replace")
        longest = max((len(run) for run in re.findall(r"`{3,}", text)), default=2)
        fence = "`" * (longest + 1)
        return TextPart(f"\n\n{name_of(part)}:\n\n{fence}\n{text.rstrip()}\n{fence}\n")
    modality = _modality(part)
    if modality and reads(modality) is False:
        return TextPart(f"\n\n[{name_of(part)}: attached, but you read no {_PLURALS[modality]}]\n")
    return part


def _modality(part: Part) -> str:
    """What a model has to read to see a part; empty for text."""
    if isinstance(part, ImagePart):
        return "image"
    return "file" if isinstance(part, FilePart) and not _is_text(part) else ""


def _is_text(part: ImagePart | FilePart) -> bool:
    return part.media_type.startswith("text/")


def _expanded(typed: str) -> Path:
    if typed.startswith("file://"):
        typed = (
            url2pathname(unquote(urlsplit(typed).path)) if os.name == "nt" else unquote(urlsplit(typed).path)
        )
    try:
        return Path(typed).expanduser()
    except RuntimeError:  # there is no such user
        return Path(typed)


def _exists(typed: str) -> bool:
    return os.path.lexists(_expanded(typed))


def _is_file(typed: str) -> bool:
    try:
        return _expanded(typed).is_file()
    except (OSError, ValueError):
        return False


def _unescaped(text: str) -> str:
    return text if os.name == "nt" else re.sub(r"\\(.)", r"\1", text)


def _reference(path: str) -> str:
    if not re.search(r"""[\s"'\\]""", path):
        return f"@{path}"
    return f"@'{path}'" if '"' in path else f'@"{path}"'

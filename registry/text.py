"""What every string from outside goes through before it reaches a screen.

Models, plugins, servers and files may send terminal control sequences, text that reverses its direction,
characters that nobody sees. `safe_text` takes a whole string, `StreamSanitizer` one that arrives in pieces;
both give the same text, however it was cut.

What is removed, on code points (filters on bytes miss the 8-bit controls):

* control sequences that are complete (CSI, OSC, DCS, APC, PM, SOS; 7-bit and 8-bit forms). An introducer
  without its end, or whose end is more than `MAX_SEQUENCE` away, loses only its own control character: a
  stray one must not swallow a paragraph;
* code points of the categories Cc (but newline and tab), Cf, Co, Cs and Cn;
* letters, marks and symbols that show nothing: fillers of Hangul, Khmer and music, the grapheme joiner;
* variation selectors, but those for text and emoji style (U+FE0E, U+FE0F);
* combining marks after the first `MAX_MARKS` on one character.

A Braille cell without dots becomes a space: pictures made of Braille need its width.
Every kind of line break becomes a newline: Textual and Markdown parsers disagree about the others.

The joiners U+200C and U+200D are of category Cf, yet family emoji and the spelling of Persian or Bengali
depend on them. One is kept where it stands between two emoji or between two characters of a script that
joins its letters, so it can neither stand alone nor hide in a Latin name.
"""

from __future__ import annotations

import re
import unicodedata
from functools import cache, lru_cache
from typing import Final, Literal, NewType, TypeAlias

SafeText = NewType("SafeText", str)
"""Text that a screen may show: no control but newline and tab, nothing invisible, nothing that reorders."""

MAX_SEQUENCE: Final = 4096
"""The longest control sequence, in code points; what is longer counts as not terminated."""
MAX_MARKS: Final = 5
"""Combining marks kept on one character: as many as pointed Hebrew needs."""

_Kind: TypeAlias = Literal["keep", "drop", "space", "newline", "mark", "joiner"]

# Ranges that hold nothing but characters to keep, none of them combining: the common scripts and symbols.
# They only make things fast; what is outside of them is looked up one by one.
_PLAIN: Final = (
    "\t\n -~\xa0-\xac\xae-\u02ff\u0370-\u0377\u037a-\u037f\u0384-\u038a\u038e-\u03a1\u03a3-\u0482"
    "\u048a-\u052f\u05d0-\u05ea\u0620-\u064a\u0904-\u0939\u0e01-\u0e30\u0e40-\u0e46\u1e00-\u1eff\u2000-\u200a"
    "\u2010-\u2027\u202f-\u205f\u2074-\u208e\u20a0-\u20bf\u2100-\u218b\u2190-\u23ff\u2500-\u27ff\u2801-\u2b73"
    "\u3000-\u3029\u3030-\u303f\u3041-\u3096\u309b-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7a3\uff01-\uff9f\uffa1-\uffbe"
    "\U0001f300-\U0001f64f\U0001f680-\U0001f6d7\U0001f7e0-\U0001f7eb\U0001f90c-\U0001f9ff"
)
_CSI: Final = r"(?:\x1b\[|\x9b)[0-?]{0,256}+[ -/]{0,256}+"
# The body of a string sequence ends at any escape or 8-bit control: a later sequence is never swallowed by
# an earlier introducer, and matching stays linear in the length of the text.
_OSC: Final = r"(?:\x1b\]|\x9d)[^\x07\x18\x1a\x1b\x80-\x9f]{0,4090}+"
_STRING: Final = r"(?:\x1b[PX^_]|[\x90\x98\x9e\x9f])[^\x18\x1a\x1b\x80-\x9f]{0,4090}+"

_ASCII_SUSPECT = re.compile(r"[^\t\n -~]")
_UNFINISHED = re.compile(rf"(?:{_CSI}|{_OSC}\x1b?|{_STRING}\x1b?|\x1b|\r)\Z")
_EMOJI: Final = "[\u2190-\u21ff\u2300-\u23ff\u25a0-\u27bf\u2b00-\u2bff\U0001f000-\U0001faff]"
# Arabic to Sinhala, Tibetan and Myanmar, Khmer and Mongolian: the scripts whose spelling uses joiners.
_JOINING: Final = (
    "[\u0600-\u0dff\u0f00-\u109f\u1780-\u18af\u1900-\u1aaf\ua840-\ua87f\ufb50-\ufdff\ufe70-\ufefc]"
)
_BREAKS = re.compile(r"[\t\n]+")
_ELLIPSIS: Final = "…"
_JOINERS: Final = "\u200c\u200d"
# Of no category that says so, yet nothing is to be seen of them (Unicode's Default_Ignorable_Code_Point; the
# last is a note head without ink).
_UNSEEN: Final = "\u034f\u115f\u1160\u17b4\u17b5\u3164\uffa0\U0001d159"


def safe_text(text: str, *, limit: int | None = None, single_line: bool = False) -> SafeText:
    """Text with everything removed that could act on a terminal or deceive a reader.

    Args:
        text: any string.
        limit: the most code points to give back; a longer text is cut and ends with an ellipsis.
        single_line: put a space in place of line breaks and tabs, none at either end.

    Raises:
        ValueError: `limit` is less than 1.
    """
    safe = text if _is_clean(text) else _Cleaner().clean(text)
    if single_line:
        safe = _BREAKS.sub(" ", safe).strip()
    if limit is not None:
        safe = _shorten(safe, limit)
    return SafeText(safe)


class StreamSanitizer:
    """`safe_text` for text that arrives in pieces.

    Any way of cutting a text into pieces gives the text that `safe_text` gives for the whole. Held back are
    an unfinished control sequence (at most `MAX_SEQUENCE` code points), a carriage return and a joiner.
    """

    def __init__(self) -> None:
        self._cleaner = _Cleaner()
        self._tail = ""

    def feed(self, delta: str) -> SafeText:
        """The text that can be shown now that this piece has come."""
        text = self._tail + delta
        unfinished = _UNFINISHED.search(text, max(0, len(text) - MAX_SEQUENCE))
        end = unfinished.start() if unfinished else len(text)
        self._tail = text[end:]
        return SafeText(self._cleaner.clean(text[:end]))

    def finish(self) -> SafeText:
        """What was held back. The next piece begins a new text."""
        rest = self._cleaner.clean(self._tail)
        self._cleaner = _Cleaner()
        self._tail = ""
        return SafeText(rest)


class _Cleaner:
    """Cleans text that does not end within a sequence; remembers what the next piece depends on."""

    def __init__(self) -> None:
        self._base = ""  # the last character that is no mark
        self._marks = 0  # how many marks it has
        self._joiner = ""  # kept if the next character joins `_base`

    def clean(self, text: str) -> str:
        kept: list[str] = []
        if text and _is_clean(text):
            self._keep(text, kept)
            return "".join(kept)
        for token in _tokens().finditer(text):
            match token.lastgroup:
                case "plain":
                    self._keep(token.group(), kept)
                case "newline":
                    self._keep("\n", kept)
                case "other":
                    for character in token.group():
                        self._take(character, kept)
                case _:
                    pass
        return "".join(kept)

    def _take(self, character: str, kept: list[str]) -> None:
        match _kind(character):
            case "keep":
                self._keep(character, kept)
            case "newline":
                self._keep("\n", kept)
            case "space":
                self._keep(" ", kept)
            case "mark" if self._marks < MAX_MARKS:
                self._settle_joiner(character, kept)
                self._marks += 1
                kept.append(character)
            case "joiner":
                self._joiner = self._joiner or character
            case _:
                pass

    def _keep(self, text: str, kept: list[str]) -> None:
        if self._joiner:
            self._settle_joiner(text[0], kept)
        self._base = text[-1]
        self._marks = 0
        kept.append(text)

    def _settle_joiner(self, following: str, kept: list[str]) -> None:
        joiner, self._joiner = self._joiner, ""
        if joiner and _joins(self._base, joiner, following):
            kept.append(joiner)


def _joins(left: str, joiner: str, right: str) -> bool:
    if joiner == "\u200d" and re.match(_EMOJI, left) and re.match(_EMOJI, right):
        return True
    return bool(re.match(_JOINING, left) and re.match(_JOINING, right))


def _is_clean(text: str) -> bool:
    return _ASCII_SUSPECT.search(text) is None or _suspects().search(text) is None


def counted(count: int, noun: str) -> str:
    """A number and what there is of it: `1 plugin`, `2 plugins`."""
    return f"{count} {noun}{'' if count == 1 else 's'}"


# The large character sets take milliseconds to compile, which an app that starts in English need not pay.
@cache
def _suspects() -> re.Pattern[str]:
    return re.compile(f"[^{_PLAIN}]")


@cache
def _tokens() -> re.Pattern[str]:
    return re.compile(
        f"(?P<plain>[{_PLAIN}]+)"
        rf"|(?P<sequence>{_CSI}[@-~]|{_OSC}(?:\x07|\x9c|\x1b\\)|{_STRING}(?:\x9c|\x1b\\))"
        r"|(?P<newline>\r\n?)"
        rf"|(?P<other>[^{_PLAIN}\x1b\x80-\x9f\r]+|.)",
        re.DOTALL,
    )


@lru_cache(maxsize=4096)
def _kind(character: str) -> _Kind:
    if character in "\t\n":
        return "keep"
    if character in "\x0b\x0c\x85\u2028\u2029":
        return "newline"
    if character in _JOINERS:
        return "joiner"
    if character == "\u2800":
        return "space"
    category = unicodedata.category(character)
    if category in {"Cc", "Cf", "Co", "Cs", "Cn"} or character in _UNSEEN:
        return "drop"
    if _is_selector(ord(character)):
        return "drop"
    return "mark" if category in {"Mn", "Me"} else "keep"


def _is_selector(code: int) -> bool:
    """Whether it is a variation selector other than those for text and emoji style."""
    return 0xFE00 <= code <= 0xFE0D or 0xE0100 <= code <= 0xE01EF or code in {0x180B, 0x180C, 0x180D, 0x180F}


def _shorten(text: str, limit: int) -> str:
    if limit < 1:
        raise ValueError(f"a limit of {limit} leaves no room")
    if len(text) <= limit:
        return text
    return text[: limit - 1].rstrip(_JOINERS) + _ELLIPSIS

"""Takes secrets out of text: logs, tracebacks, error screens, exported conversations.

Secrets are remembered in memory while the process runs, as text and in the forms in which they turn up
elsewhere: in addresses, in JSON and Python literals, in HTML, in Base64.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import logging

MARK: Final = "[secret]"
"""What stands in place of a secret."""
MIN_LENGTH: Final = 8
"""The shortest secret that is remembered, in characters; a shorter one would blot out innocent words."""

_forms: tuple[str, ...] = ()
_seen: set[str] = set()
_remembering = threading.Lock()


def remember(secret: str) -> None:
    """Have `redact` take this out of every text from now on. One shorter than `MIN_LENGTH` is left alone."""
    global _forms
    secret = secret.strip()
    if len(secret) < MIN_LENGTH or secret in _seen:
        return
    with _remembering:
        forms = {form for form in _forms_of(secret) if len(form) >= MIN_LENGTH}
        _forms = tuple(sorted(forms.union(_forms), key=len, reverse=True))
        _seen.add(secret)


def redact(text: str) -> str:
    """The text with `MARK` in place of every remembered secret, also where several overlap."""
    if not any(form in text for form in _forms):
        return text
    pieces: list[str] = []
    end = 0
    for start, stop in _spans(text):
        pieces += (text[end:start], MARK)
        end = stop
    return "".join((*pieces, text[end:]))


class RedactingFilter:
    """A filter for log handlers that takes secrets out of records. Costs nothing while there are none.

    It changes the record itself, so that no handler after it writes what was taken out.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Clean a record. It is always kept."""
        if not _forms:
            return True
        try:
            record.msg = redact(record.getMessage())
        except Exception as error:  # noqa: BLE001 - a text that cannot be made must not end who logs it
            record.msg = f"A log message could not be made: {type(error).__name__}"
        record.args = ()
        if record.exc_info:
            record.exc_text = _traceback(record)
            record.exc_info = None  # a handler that writes it on its own would write the secrets too
        if record.exc_text:
            record.exc_text = redact(record.exc_text)
        if record.stack_info:
            record.stack_info = redact(record.stack_info)
        return True


def _traceback(record: logging.LogRecord) -> str:
    import traceback  # only where something went wrong

    error = record.exc_info[1] if isinstance(record.exc_info, tuple) else None
    return "" if error is None else "".join(traceback.format_exception(error)).rstrip("\n")


def _spans(text: str) -> Iterator[tuple[int, int]]:
    """Where secrets are, in order; what overlaps is one."""
    found = sorted(span for form in _forms for span in _places(form, text))
    start, stop = found[0]
    for first, last in found[1:]:
        if first < stop:
            stop = max(stop, last)
            continue
        yield start, stop
        start, stop = first, last
    yield start, stop


def _places(form: str, text: str) -> Iterator[tuple[int, int]]:
    place = text.find(form)
    while place >= 0:
        yield place, place + len(form)
        place = text.find(form, place + 1)


def _forms_of(secret: str) -> Iterator[str]:
    # Imported here: most runs never see a secret before the first frame.
    import html
    import json
    from urllib.parse import quote, quote_plus

    yield secret
    for address in (quote(secret, safe="", errors="replace"), quote(secret, errors="replace")):
        yield address
        yield _lower_escapes(address)
    yield quote_plus(secret, errors="replace")
    yield json.dumps(secret)[1:-1]
    yield json.dumps(secret, ensure_ascii=False)[1:-1]
    yield json.dumps(secret).replace("/", r"\/")[1:-1]
    yield repr(secret)[1:-1]
    yield repr(secret.encode(errors="replace"))[2:-1]
    yield html.escape(secret)
    yield html.escape(secret, quote=False)
    yield from _base64_forms(secret.encode(errors="replace"))


def _lower_escapes(address: str) -> str:
    parts = address.split("%")
    return parts[0] + "".join(f"%{part[:2].lower()}{part[2:]}" for part in parts[1:])


def _base64_forms(secret: bytes) -> Iterator[str]:
    """The secret in Base64, alone and as the part of a longer text that depends on nothing else in it.

    Three bytes make four characters, so there are three ways in which it may stand in a longer text
    (RFC 4648, section 4), such as the `name:password` of basic authentication.
    """
    from base64 import b64encode

    url_safe = {ord("+"): "-", ord("/"): "_"}
    forms = [b64encode(secret).decode()]
    for before in range(3):
        encoded = b64encode(b"\0" * before + secret).decode()
        forms.append(encoded[(before * 8 + 5) // 6 : (before + len(secret)) * 8 // 6])
    for form in forms:
        yield form
        yield form.translate(url_safe)

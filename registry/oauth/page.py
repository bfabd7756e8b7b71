"""The page that the user's browser ends on: a few words, nothing from outside, nothing kept."""

from __future__ import annotations

import base64
import hashlib
from html import escape
from http import HTTPStatus
from typing import Final

_STYLE: Final = (
    ":root{color-scheme:light dark}"
    "body{font:1rem/1.5 system-ui,sans-serif;max-width:32rem;margin:20vh auto 0;padding:0 1.5rem}"
    "h1{font-size:1.5rem;font-weight:600}"
)
_STYLE_HASH: Final = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
_POLICY: Final = (
    "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    f"style-src 'sha256-{_STYLE_HASH}'"
)
_PAGE: Final = (
    '<!doctype html><html lang="en"><head><meta charset="utf-8">'
    '<meta name="viewport" content="width=device-width"><title>{title}</title><style>{style}</style></head>'
    "<body><h1>{title}</h1><p>{text}</p></body></html>"
)


def page(status: HTTPStatus, title: str, text: str) -> bytes:
    """A whole HTTP answer; title and text are plain words, not HTML."""
    body = _PAGE.format(title=escape(title), text=escape(text), style=_STYLE).encode()
    head = (
        f"HTTP/1.1 {status.value} {status.phrase}",
        "Content-Type: text/html; charset=utf-8",
        f"Content-Length: {len(body)}",
        "Cache-Control: no-store",
        "Referrer-Policy: no-referrer",  # the address of this page holds the code
        f"Content-Security-Policy: {_POLICY}",
        "X-Content-Type-Options: nosniff",
        "Connection: close",
    )
    return "\r\n".join(head).encode("ascii") + b"\r\n\r\n" + body

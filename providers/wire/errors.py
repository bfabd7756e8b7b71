"""Faults of a server, in whatever shape it reports them, as one `ProviderError`."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

from jackfield import ErrorKind, ProviderError, safe_text

_DETAIL_LIMIT: Final = 1000
_PLAIN_LIMIT: Final = 200
_REQUEST_ID_HEADERS: Final = ("x-request-id", "request-id", "x-generation-id")

_KIND_OF_STATUS: Final = {
    400: ErrorKind.BAD_REQUEST,
    401: ErrorKind.AUTH,
    402: ErrorKind.BILLING,
    403: ErrorKind.PERMISSION,
    404: ErrorKind.NOT_FOUND,
    408: ErrorKind.TIMEOUT,
    413: ErrorKind.TOO_LARGE,
    422: ErrorKind.BAD_REQUEST,
    429: ErrorKind.RATE_LIMITED,
    503: ErrorKind.OVERLOADED,
    504: ErrorKind.TIMEOUT,
    529: ErrorKind.OVERLOADED,
    **dict.fromkeys(range(520, 525), ErrorKind.OVERLOADED),
}
_BILLING_CODES: Final = re.compile(
    r"insufficient_quota|credit_balance_exhausted|(spend|usage)_limit", re.IGNORECASE
)
_FILTER_CODES: Final = re.compile(r"content_(filter|policy)", re.IGNORECASE)
_OVERLOAD_CODES: Final = re.compile(r"overloaded", re.IGNORECASE)
_RATE_TEXT: Final = re.compile(r"rate.limit|too many (requests|tokens)", re.IGNORECASE)
# The words of the servers in use; there is no common code for a prompt that does not fit.
_OVERFLOW_TEXT: Final = re.compile(
    r"context_length_exceeded|exceed_context_size_error|prompt is too long|exceeds the context window"
    r"|maximum context length|maximum prompt length|reduce the length of the messages"
    r"|exceeds the available context size|greater than the context length|longer than the model's context"
    r"|exceeded (model token limit|max context length)|input token count.{0,80}exceeds the maximum",
    re.IGNORECASE | re.DOTALL,
)

_TITLES: Final = {
    ErrorKind.AUTH: ("{name} did not accept the key", "Check the key, then press retry."),
    ErrorKind.PERMISSION: ("{name} does not allow this", "Check what the account may use."),
    ErrorKind.BILLING: ("{name} says the account has no credit left", "Check the account's plan and limits."),
    ErrorKind.NOT_FOUND: ("{name} does not know this model", "Choose another model."),
    ErrorKind.BAD_REQUEST: ("{name} did not understand the request", "Choose another model or press retry."),
    ErrorKind.CONTEXT_OVERFLOW: (
        "The conversation is too long for this model",
        "Start a new conversation or choose a model with a larger context.",
    ),
    ErrorKind.TOO_LARGE: ("The request is too large for {name}", "Remove attachments or shorten the text."),
    ErrorKind.RATE_LIMITED: ("{name} asks for a pause", "Wait a moment, then press retry."),
    ErrorKind.OVERLOADED: ("{name} is busy", "Wait a moment, then press retry."),
    ErrorKind.SERVER: ("{name} had a fault of its own", "Press retry."),
    ErrorKind.TIMEOUT: ("{name} took too long", "Press retry."),
    ErrorKind.CONNECTION: ("The connection to {name} broke", "Check that it is reachable, then press retry."),
    ErrorKind.TRUNCATED_STREAM: ("The answer was cut short", "Press retry to ask again."),
    ErrorKind.CONTENT_FILTER: ("{name} refused the content", "Say it in another way."),
    ErrorKind.PROTOCOL: ("{name} sent something that is no answer", "Check the address of the server."),
}


def make_error(kind: ErrorKind, name: str, *, detail: str = "", **facts: object) -> ProviderError:
    """An error of a kind with its usual title and hint.

    Args:
        kind: the class of fault.
        name: how the user calls the provider.
        detail: the cause; it may come from the server.
        facts: further arguments of `ProviderError`.
    """
    title, hint = _TITLES.get(kind, ("{name} could not answer", "Press retry."))
    shown = safe_text(detail.strip(), limit=_DETAIL_LIMIT)
    return ProviderError(kind, title.format(name=name), **({"detail": shown, "hint": hint} | facts))  # type: ignore[arg-type]


def error_of_response(name: str, status: int, headers: Mapping[str, str], body: bytes) -> ProviderError:
    """The error that an HTTP response stands for."""
    text = body.decode("utf-8", "replace")
    try:
        found = find_error(json.loads(text))
    except (ValueError, RecursionError):
        found = None
    if found is None:
        plain = " ".join(text.split())[:_PLAIN_LIMIT]
        found = {"message": f"HTTP {status}: {plain}" if plain else f"HTTP {status}"}
    request_id = next((headers[key] for key in _REQUEST_ID_HEADERS if key in headers), "")
    return error_of_body(
        name, found, status=status, retry_after_s=retry_after(headers), request_id=safe_text(request_id)
    )


def error_of_body(
    name: str,
    error: Mapping[str, object],
    *,
    status: int | None = None,
    retry_after_s: float | None = None,
    request_id: str = "",
) -> ProviderError:
    """The error that an error object stands for, from a response or from the middle of a stream."""
    message = error.get("message")
    words = message if isinstance(message, str) else json.dumps(message or error, default=str)
    code = error.get("code")
    if status is None and isinstance(code, int):
        status = code
    codes = " ".join(str(error[key]) for key in ("code", "type", "status") if error.get(key) is not None)
    return make_error(
        _kind(status, codes, words),
        name,
        detail=words,
        status=status,
        retry_after_s=retry_after_s,
        request_id=request_id,
    )


def find_error(body: object) -> Mapping[str, object] | None:
    """The error object within a decoded body, or None when it reports no fault.

    The shapes are those of OpenAI, Anthropic and Gemini (`error` is an object, at times in a list of one), of
    Ollama (`error` is text), of Mistral (`object` is "error") and of FastAPI (`detail`).
    """
    if isinstance(body, list) and len(body) == 1:
        body = body[0]
    if not isinstance(body, dict):
        return None
    error = body.get("error")
    if isinstance(error, dict) and error:
        return error
    if isinstance(error, str) and error:
        return {"message": error, **{key: body[key] for key in ("code", "type") if key in body}}
    if body.get("object") == "error":
        return body
    if body.get("detail") and "choices" not in body:
        return {"message": body["detail"]}
    return None


def retry_after(headers: Mapping[str, str]) -> float | None:
    """How long the server asks to wait, in seconds (RFC 9110 10.2.3, and the header in milliseconds)."""
    try:
        if "retry-after-ms" in headers:
            return max(0.0, float(headers["retry-after-ms"]) / 1000)
        value = headers.get("retry-after", "")
        return max(0.0, float(value)) if value else None
    except ValueError:
        pass
    try:
        moment = parsedate_to_datetime(headers.get("retry-after", ""))
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(0.0, (moment - datetime.now(UTC)).total_seconds())


def _kind(status: int | None, codes: str, words: str) -> ErrorKind:
    text = f"{codes} {words}"
    if _BILLING_CODES.search(codes):
        return ErrorKind.BILLING
    if _OVERFLOW_TEXT.search(text) and not _RATE_TEXT.search(text):
        return ErrorKind.CONTEXT_OVERFLOW
    if _FILTER_CODES.search(codes):
        return ErrorKind.CONTENT_FILTER
    if _OVERLOAD_CODES.search(codes):
        return ErrorKind.OVERLOADED
    if status in _KIND_OF_STATUS:
        return _KIND_OF_STATUS[status]
    if status is not None and 400 <= status < 500:
        return ErrorKind.BAD_REQUEST
    if _RATE_TEXT.search(codes):
        return ErrorKind.RATE_LIMITED
    return ErrorKind.SERVER

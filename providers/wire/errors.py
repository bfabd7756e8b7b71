"""Faults of a server, in whatever shape it reports them, as one `ProviderError`."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

from jackfield import ErrorKind, ProviderError, safe_text

_DETAIL_LIMIT: Final = 1000
_PLAIN_LIMIT: Final = 200
_REQUEST_ID_HEADERS: Final = ("request-id", "x-request-id", "x-generation-id", "x-goog-request-id")

_KIND_OF_STATUS: Final = {
    400: ErrorKind.BAD_REQUEST,
    401: ErrorKind.AUTH,
    402: ErrorKind.BILLING,
    403: ErrorKind.PERMISSION,
    404: ErrorKind.NOT_FOUND,
    408: ErrorKind.TIMEOUT,
    409: ErrorKind.SERVER,  # two requests met, as official clients know: the next one succeeds
    413: ErrorKind.TOO_LARGE,
    422: ErrorKind.BAD_REQUEST,
    429: ErrorKind.RATE_LIMITED,
    503: ErrorKind.OVERLOADED,
    504: ErrorKind.TIMEOUT,
    529: ErrorKind.OVERLOADED,
    **dict.fromkeys(range(520, 525), ErrorKind.OVERLOADED),
}
_KIND_OF_WORD: Final = {
    "authentication_error": ErrorKind.AUTH,
    "unauthenticated": ErrorKind.AUTH,
    "permission_error": ErrorKind.PERMISSION,
    "permission_denied": ErrorKind.PERMISSION,
    "billing_error": ErrorKind.BILLING,
    "not_found_error": ErrorKind.NOT_FOUND,
    "not_found": ErrorKind.NOT_FOUND,
    "invalid_request_error": ErrorKind.BAD_REQUEST,
    "invalid_argument": ErrorKind.BAD_REQUEST,
    "failed_precondition": ErrorKind.BAD_REQUEST,
    "request_too_large": ErrorKind.TOO_LARGE,
    "rate_limit_error": ErrorKind.RATE_LIMITED,
    "rate_limit_exceeded": ErrorKind.RATE_LIMITED,
    "resource_exhausted": ErrorKind.RATE_LIMITED,
    "unavailable": ErrorKind.OVERLOADED,
    "timeout_error": ErrorKind.TIMEOUT,
    "deadline_exceeded": ErrorKind.TIMEOUT,
}
"""Words for a fault where there is no status: in the middle of a stream, or under a status of 200."""
_KIND_OF_STRONG_WORD: Final = {
    "invalid_api_key": ErrorKind.AUTH,
    "api_key_invalid": ErrorKind.AUTH,
    "model_not_found": ErrorKind.NOT_FOUND,
}
"""Words that say more than the status beside them."""
_BILLING_CODES: Final = re.compile(
    r"insufficient_quota|credit_balance_exhausted|(spend|usage)_limit|payment_required|PerDay", re.IGNORECASE
)
_BILLING_TEXT: Final = re.compile(
    r"credit balance is too low|insufficient (balance|credits?|funds)|usage limit reached", re.IGNORECASE
)
_FILTER_CODES: Final = re.compile(r"content_(filter|policy)", re.IGNORECASE)
_OVERLOAD_CODES: Final = re.compile(r"overloaded", re.IGNORECASE)
_RATE_TEXT: Final = re.compile(r"rate.limit|too many (requests|tokens)", re.IGNORECASE)
_MODEL_TEXT: Final = re.compile(
    r"is not a valid model|model .{0,100}(does not exist|not found)", re.IGNORECASE
)
# The words of the servers in use; there is no common code for a prompt that does not fit.
_OVERFLOW_TEXT: Final = re.compile(
    r"context_length_exceeded|exceed_context_size_error|prompt is too long|exceeds the context window"
    r"|maximum context length|maximum prompt length|reduce the length of the messages"
    r"|exceeds the available context size|greater than the context length|longer than the model's context"
    r"|exceeded (model token limit|max context length)|prompt exceeds max|tokens_limit_reached"
    r"|input token count.{0,80}exceeds the maximum",
    re.IGNORECASE | re.DOTALL,
)
_WAIT_TEXT: Final = re.compile(
    r"(?:retry|try again) in\s+(?:(?P<h>\d+)\s*h\w*\s*)?(?:(?P<m>\d+)\s*m(?:in\w*)?(?!s)\s*)?"
    r"(?:(?P<s>\d+(?:\.\d+)?)\s*(?P<unit>ms|s))?",
    re.IGNORECASE,
)
# What is never closed ends with the page, and no tag holds another: so a hostile page takes no longer.
_MARKUP: Final = re.compile(
    r"<(script|style)\b.*?(?:</\1\s*>|\Z)|<!--.*?(?:-->|\Z)|<[^<>]*>", re.IGNORECASE | re.DOTALL
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


class WireError(ProviderError):
    """A fault on the wire, with the server's own word on whether to ask again (`x-should-retry`)."""

    should_retry: bool | None = None

    @property
    def retryable(self) -> bool:
        """What the server says, where it says it; what costs money or a quota is never asked again."""
        if self.should_retry is None or self.kind is ErrorKind.BILLING:
            return super().retryable
        return self.should_retry

    def name_request(self, name: str, request_id: str) -> None:
        """Add the server's name for the request, where the fault itself did not tell it.

        Args:
            name: how the user calls the provider.
            request_id: as `find_request_id` gives it.
        """
        if request_id and not self.request_id:
            self.request_id = request_id
            self.detail = f"{self.detail}\n({name}: request {request_id})".lstrip()


def make_error(
    kind: ErrorKind,
    name: str,
    *,
    title: str = "",
    detail: str = "",
    hint: str = "",
    status: int | None = None,
    retry_after_s: float | None = None,
    request_id: str = "",
    should_retry: bool | None = None,
) -> WireError:
    """An error of a kind, with its usual title and hint unless others are given.

    Args:
        kind: the class of fault.
        name: how the user calls the provider.
        title: what happened, in one line.
        detail: the cause; it may come from the server. Status and request id are added to it.
        hint: what to do next.
        status: the HTTP status, where there was one.
        retry_after_s: how long the server asks to wait, in seconds.
        request_id: the server's name for this request.
        should_retry: whether to ask again, where that is known better than by the kind.
    """
    usual_title, usual_hint = _TITLES.get(kind, ("{name} could not answer", "Press retry."))
    shown_id = safe_text(request_id, single_line=True, limit=200)
    facts = [f"HTTP {status}"] if status is not None else []
    facts += [f"request {shown_id}"] if shown_id else []
    lines = [safe_text(detail.strip(), limit=_DETAIL_LIMIT), f"({name}: {', '.join(facts)})" if facts else ""]
    error = WireError(
        kind,
        title or usual_title.format(name=name),
        detail="\n".join(line for line in lines if line),
        hint=hint or usual_hint,
        status=status,
        retry_after_s=retry_after_s,
        request_id=shown_id,
    )
    error.should_retry = should_retry
    return error


def error_of_response(name: str, status: int, headers: Mapping[str, str], body: bytes) -> WireError:
    """The error that an HTTP response stands for.

    Args:
        name: how the user calls the provider.
        status: the HTTP status.
        headers: of the response, with names in lower case.
        body: of the response, or its beginning.
    """
    text = body.decode("utf-8", "replace")
    try:
        found = find_error(json.loads(text))
    except (ValueError, RecursionError):
        found = None
    if found is None:
        found = {"message": plain_text(text) or "It gave no reason."}
    request_id = find_request_id(headers)
    fault_status = None if 200 <= status < 300 else status  # a fault under 200 says more of itself
    error = error_of_body(
        name, found, status=fault_status, retry_after_s=retry_after(headers), request_id=request_id
    )
    said = headers.get("x-should-retry", "").strip().lower()
    if said in ("true", "false"):
        error.should_retry = said == "true"
    elif 300 <= status < 400:
        error.should_retry = False  # it moved, and redirects are not followed
    return error


def error_of_body(
    name: str,
    error: Mapping[str, object],
    *,
    status: int | None = None,
    retry_after_s: float | None = None,
    request_id: str = "",
) -> WireError:
    """The error that an error object stands for, from a response or from the middle of a stream.

    Args:
        name: how the user calls the provider.
        error: what `find_error` found.
        status: the HTTP status, unless the error came in the middle of a stream.
        retry_after_s: what the headers say; without it the words of the error are searched.
        request_id: the server's name for this request.
    """
    message = error.get("message")
    words = message if isinstance(message, str) and message else json.dumps(message or error, default=str)
    words = "\n".join([words, *_words_behind(error)])
    code = error.get("code")
    if status is None and isinstance(code, int) and 400 <= code < 600:
        status = code
    return make_error(
        _kind(status, _codes(error), words),
        name,
        detail=words,
        status=status,
        retry_after_s=_wait_of(error, words) if retry_after_s is None else retry_after_s,
        request_id=request_id,
    )


@contextmanager
def naming_request(name: str, said: dict[str, str]) -> Iterator[Callable[[Mapping[str, str]], None]]:
    """Has a fault within tell the server's name for the request; gives what takes the headers of the answer.

    Args:
        name: how the user calls the provider.
        said: is given that name as `request_id`.
    """

    def note(headers: Mapping[str, str]) -> None:
        if request_id := find_request_id(headers):
            said["request_id"] = request_id

    try:
        yield note
    except WireError as error:
        error.name_request(name, said.get("request_id", ""))
        raise


def find_request_id(headers: Mapping[str, str]) -> str:
    """The server's name for a request, safe to show; empty when it gave none."""
    given = next((headers[key] for key in _REQUEST_ID_HEADERS if key in headers), "")
    return safe_text(given, single_line=True, limit=200)


def plain_text(page: str) -> str:
    """The beginning of what a person would read on a web page, or of any other text, in one line."""
    beginning = page[:20_000].strip()
    words = _MARKUP.sub(" ", beginning) if beginning.startswith("<") else beginning
    return " ".join(words.split())[:_PLAIN_LIMIT]


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
    value = headers.get("retry-after", "")
    milliseconds = _seconds(headers.get("retry-after-ms", ""))
    seconds = _seconds(value) if milliseconds is None else milliseconds / 1000
    if seconds is not None or not value:
        return seconds
    try:
        moment = parsedate_to_datetime(value)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(0.0, (moment - datetime.now(UTC)).total_seconds())


def _seconds(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return max(0.0, number) if math.isfinite(number) else None


def _wait_of(error: Mapping[str, object], words: str) -> float | None:
    """How long the error itself asks to wait: Gemini's `RetryInfo`, or the words of OpenAI and Gemini."""
    for detail in _details(error):
        delay = detail.get("retryDelay")
        if isinstance(delay, str) and (seconds := _seconds(delay.removesuffix("s"))) is not None:
            return seconds
    found = _WAIT_TEXT.search(words)
    if found is None or not any(found.group("h", "m", "s")):
        return None
    seconds = float(found["s"] or 0) / (1000 if (found["unit"] or "").lower() == "ms" else 1)
    return seconds + 60 * int(found["m"] or 0) + 3600 * int(found["h"] or 0)


def _details(error: Mapping[str, object]) -> list[Mapping[str, object]]:
    details = error.get("details")
    listed = details if isinstance(details, list) else [details]
    return [detail for detail in listed if isinstance(detail, dict)]


def _words_behind(error: Mapping[str, object]) -> list[str]:
    """What the server behind a gateway said, where the gateway passes it on (OpenRouter)."""
    raw = _mapping(error.get("metadata")).get("raw")
    if not isinstance(raw, str) or not raw.strip():
        return []
    try:
        found = find_error(json.loads(raw)) or {}
    except (ValueError, RecursionError):
        found = {}
    message = found.get("message")
    return [message if isinstance(message, str) and message else plain_text(raw)]


def _mapping(value: object) -> Mapping[str, object]:
    return value if isinstance(value, dict) else {}


def _codes(error: Mapping[str, object]) -> list[str]:
    """Every word by which the error names itself."""
    codes = [error.get(key) for key in ("code", "type", "status")]
    codes.append(_mapping(error.get("metadata")).get("error_type"))
    for detail in _details(error):
        codes += [detail.get("error_code"), detail.get("reason")]
        violations = detail.get("violations")
        for violation in violations if isinstance(violations, list) else ():
            codes.append(violation.get("quotaId") if isinstance(violation, dict) else None)
    return [str(code) for code in codes if code is not None]


def _kind(status: int | None, codes: list[str], words: str) -> ErrorKind:
    all_codes = " ".join(codes)
    text = f"{all_codes} {words}"
    if _BILLING_CODES.search(all_codes) or _BILLING_TEXT.search(words):
        return ErrorKind.BILLING
    if _OVERFLOW_TEXT.search(text) and not _RATE_TEXT.search(text):
        return ErrorKind.CONTEXT_OVERFLOW
    if _FILTER_CODES.search(all_codes):
        return ErrorKind.CONTENT_FILTER
    if _OVERLOAD_CODES.search(all_codes):
        return ErrorKind.OVERLOADED
    lowered = [code.lower() for code in codes]
    if strong := next((_KIND_OF_STRONG_WORD[code] for code in lowered if code in _KIND_OF_STRONG_WORD), None):
        return strong
    if status in (400, 422) and _MODEL_TEXT.search(words):
        return ErrorKind.NOT_FOUND
    if status in _KIND_OF_STATUS:
        return _KIND_OF_STATUS[status]
    if status is not None and 400 <= status < 500:
        return ErrorKind.BAD_REQUEST
    if told := next((_KIND_OF_WORD[code] for code in lowered if code in _KIND_OF_WORD), None):
        return told
    return ErrorKind.RATE_LIMITED if _RATE_TEXT.search(all_codes) else ErrorKind.SERVER

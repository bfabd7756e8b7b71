"""Whatever a server reports becomes an error of a kind, with a title, a cause and a next step."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from jackfield import ErrorKind, ProviderError
from providers.wire.errors import error_of_response, retry_after


def respond(status: int, body: object, **headers: str) -> ProviderError:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return error_of_response("Peer", status, {k.replace("_", "-"): v for k, v in headers.items()}, data)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        *[(400, "bad_request"), (401, "auth"), (402, "billing"), (403, "permission"), (404, "not_found")],
        *[(408, "timeout"), (413, "too_large"), (418, "bad_request"), (422, "bad_request")],
        *[(429, "rate_limited"), (500, "server"), (502, "server"), (503, "overloaded"), (504, "timeout")],
        *[(522, "overloaded"), (529, "overloaded"), (301, "server")],
    ],
)
def test_the_status_decides_when_the_body_is_silent(status: int, kind: str) -> None:
    error = respond(status, b"")
    assert error.kind is ErrorKind(kind)
    assert error.status == status
    assert error.title
    assert error.hint
    assert str(status) in error.detail


@pytest.mark.parametrize(
    "body",
    [
        {"error": {"message": "the cause", "type": "t", "code": None}},
        {"type": "error", "error": {"type": "invalid_request_error", "message": "the cause"}},
        [{"error": {"code": 400, "message": "the cause", "status": "INVALID_ARGUMENT"}}],
        {"error": "the cause"},
        {"object": "error", "message": "the cause", "type": "x", "code": 3},
        {"detail": "the cause"},
        {"detail": [{"loc": ["body"], "msg": "the cause"}]},
        b"<html><body>the cause</body></html>",
    ],
)
def test_the_cause_is_found_in_every_shape(body: object) -> None:
    error = respond(400, body)
    assert "the cause" in error.detail
    assert error.kind is ErrorKind.BAD_REQUEST


@pytest.mark.parametrize(
    "message",
    [
        "prompt is too long: 9 tokens > 5 maximum",
        "This model's maximum context length is 4096 tokens",
        "the request exceeds the available context size",
        "The number of tokens is greater than the context length",
        "Please reduce the length of the messages",
        "Prompt exceeds max length",
        "Your request exceeded model token limit: 262144",
        "maximum prompt length is 131072",
    ],
)
def test_a_prompt_that_does_not_fit_is_told_by_its_words(message: str) -> None:
    assert respond(400, {"error": {"message": message}}).kind is ErrorKind.CONTEXT_OVERFLOW


def test_too_many_tokens_a_minute_are_no_overflow() -> None:
    message = "Rate limit: too many tokens, reduce the length of the messages"
    assert respond(429, {"error": {"message": message}}).kind is ErrorKind.RATE_LIMITED


def test_llama_cpp_tells_an_overflow_by_its_type() -> None:
    body = {"error": {"code": 400, "message": "too big", "type": "exceed_context_size_error", "n_ctx": 4096}}
    assert respond(400, body).kind is ErrorKind.CONTEXT_OVERFLOW


def test_a_spent_quota_is_no_rate_limit() -> None:
    error = respond(429, {"error": {"message": "You exceeded your quota", "code": "insufficient_quota"}})
    assert error.kind is ErrorKind.BILLING
    assert not error.retryable


def test_a_plan_that_is_used_up_is_no_rate_limit() -> None:
    message = "Usage limit reached for 5 hour. Your limit will reset at 2026-11-28 23:00:00"
    assert respond(429, {"error": {"code": "1308", "message": message}}).kind is ErrorKind.BILLING


@pytest.mark.parametrize(
    ("word", "kind"),
    [
        ("context_length_exceeded", ErrorKind.CONTEXT_OVERFLOW),
        ("payment_required", ErrorKind.BILLING),
        ("provider_overloaded", ErrorKind.OVERLOADED),
        ("content_policy_violation", ErrorKind.CONTENT_FILTER),
    ],
)
def test_a_gateway_passes_on_what_the_server_behind_it_said(word: str, kind: ErrorKind) -> None:
    for raw in ('{"error": {"message": "the cause"}}', "the cause", "<p>the cause</p>"):
        metadata = {"error_type": word, "provider_name": "Acme", "raw": raw}
        error = respond(
            400, {"error": {"code": 400, "message": "Provider returned error", "metadata": metadata}}
        )
        assert error.kind is kind
        assert error.detail.startswith("Provider returned error\nthe cause")


def test_an_overload_in_the_body_wins_over_a_plain_server_fault() -> None:
    assert respond(500, {"error": {"type": "overloaded_error", "message": ""}}).kind is ErrorKind.OVERLOADED


def test_a_page_of_a_gateway_is_shortened_and_harmless() -> None:
    error = respond(502, b"<html>\x1b[2J\x1b]52;c;eA==\x07" + b"x" * 5000)
    assert error.kind is ErrorKind.SERVER
    assert len(error.detail) < 300
    assert "\x1b" not in error.detail


def test_the_request_id_and_the_wait_are_kept() -> None:
    error = respond(429, {"error": {"message": "slow"}}, x_request_id="r1", retry_after="3")
    assert (error.request_id, error.retry_after_s) == ("r1", 3.0)


def test_the_wait_is_read_in_every_form() -> None:
    assert retry_after({"retry-after-ms": "1500", "retry-after": "9"}) == 1.5
    assert retry_after({"retry-after": "2.5"}) == 2.5
    assert retry_after({"retry-after": "-1"}) == 0.0
    assert retry_after({"retry-after": "soon"}) is None
    assert retry_after({}) is None
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=60), usegmt=True)
    seconds = retry_after({"retry-after": date})
    assert seconds is not None
    assert 50 < seconds <= 60


@pytest.mark.parametrize("piece", ["<script>", "<style ", "<!--", "<", "<a", "retry in 1", "model ", "1h"])
def test_a_hostile_page_takes_no_time(piece: str) -> None:
    began = time.process_time()
    error = respond(503, (piece * (64_000 // len(piece))).encode())
    respond(503, {"error": {"message": piece * (64_000 // len(piece))}})
    assert error.kind is ErrorKind.OVERLOADED
    assert time.process_time() - began < 0.5


def test_text_that_is_no_page_keeps_its_signs() -> None:
    assert "max_tokens < 5 > 4" in respond(400, b"max_tokens < 5 > 4").detail

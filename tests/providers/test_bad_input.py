"""What can go wrong in each dialect is told so that a person can act on it, and what was said is kept."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest

from jackfield import ErrorKind, Message, ProviderError, ToolCallPart, ToolResultPart
from registry.turn import Turn
from tests.providers.dialects import ALL_DIALECTS, KEY, Call, Dialect
from tests.providers.peer import Peer, Reply, running_peer


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    async def at_once(seconds: float) -> None:
        del seconds

    monkeypatch.setattr("providers.wire.retry._sleep", at_once)


@asynccontextmanager
async def asked(
    monkeypatch: pytest.MonkeyPatch, dialect: Dialect, reply: Reply, *messages: Message
) -> AsyncIterator[tuple[Turn, Peer]]:
    """A turn with a server that gives this reply."""
    async with running_peer(reply) as peer:
        registry, turn = dialect.turn(monkeypatch, peer.url, messages)
        try:
            yield turn, peer
        finally:
            await registry.aclose()


async def fail(turn: Turn) -> ProviderError:
    """The error of a turn; it says what happened, why and what to do, and holds no key."""
    with pytest.raises(ProviderError) as caught:
        _ = [event async for event in turn.events()]
    error = caught.value
    assert error.title
    assert error.detail
    assert error.hint
    assert KEY not in f"{error} {error!r} {error.detail} {error.hint}"
    return error


@dataclass(frozen=True)
class Refusal:
    """What a server answers with, in its own shape and words."""

    status: int
    body: Mapping[str, object]

    def reply(self) -> Reply:
        return Reply([json.dumps(self.body).encode()], self.status, "application/json")


def openai(status: int, message: str, code: str = "", kind: str = "invalid_request_error") -> Refusal:
    return Refusal(status, {"error": {"message": message, "type": kind, "param": None, "code": code or None}})


def gateway(status: int, message: str) -> Refusal:
    return Refusal(status, {"error": {"message": message, "code": status}})


def anthropic(status: int, message: str, kind: str = "invalid_request_error") -> Refusal:
    error = {"type": kind, "message": message}
    return Refusal(status, {"type": "error", "error": error, "request_id": "req_1"})


def gemini(status: int, message: str, word: str, **detail: object) -> Refusal:
    details = [{"@type": "type.googleapis.com/google.rpc.Detail", **detail}]
    return Refusal(
        status, {"error": {"code": status, "message": message, "status": word, "details": details}}
    )


REFUSALS: dict[tuple[str, str], Refusal] = {
    ("wrong key", "messages"): anthropic(401, "invalid x-api-key", "authentication_error"),
    ("wrong key", "responses"): openai(401, "Incorrect API key provided: sk-v****ret.", "invalid_api_key"),
    ("wrong key", "generate"): gemini(
        400, "API key not valid. Please pass a valid API key.", "INVALID_ARGUMENT", reason="API_KEY_INVALID"
    ),
    ("wrong key", "chat"): gateway(401, "No auth credentials found"),
    ("expired key", "messages"): anthropic(401, "API key has expired.", "authentication_error"),
    ("expired key", "responses"): openai(401, "Your API key has expired.", "invalid_api_key"),
    ("expired key", "generate"): gemini(
        400, "API key expired. Please renew the API key.", "INVALID_ARGUMENT", reason="API_KEY_INVALID"
    ),
    ("expired key", "chat"): gateway(401, "Invalid or expired token"),
    ("no credit", "messages"): anthropic(400, "Your credit balance is too low to access the Anthropic API."),
    ("no credit", "responses"): openai(
        429, "You exceeded your current quota, please check your plan.", "insufficient_quota", "quota"
    ),
    ("no credit", "generate"): gemini(
        429,
        "You exceeded your current quota.",
        "RESOURCE_EXHAUSTED",
        violations=[{"quotaId": "GenerateRequestsPerDayPerProjectPerModel-FreeTier"}],
    ),
    ("no credit", "chat"): gateway(402, "Insufficient Balance"),
    ("unknown model", "messages"): anthropic(404, "model: claude-nothing", "not_found_error"),
    ("unknown model", "responses"): openai(
        400, "The requested model 'gpt-nothing' does not exist.", "model_not_found"
    ),
    ("unknown model", "generate"): gemini(404, "models/nothing is not found for API v1beta", "NOT_FOUND"),
    ("unknown model", "chat"): gateway(400, "nothing is not a valid model ID"),
    ("overflow", "messages"): anthropic(400, "prompt is too long: 208310 tokens > 200000 maximum"),
    ("overflow", "responses"): openai(
        400, "Your input exceeds the context window of this model.", "context_length_exceeded"
    ),
    ("overflow", "generate"): gemini(
        400,
        "The input token count (1200000) exceeds the maximum number of tokens allowed (1048575).",
        "INVALID_ARGUMENT",
    ),
    ("overflow", "chat"): openai(400, "This model's maximum context length is 65536 tokens."),
}
EXPECTED = {
    "wrong key": (ErrorKind.AUTH, "key"),
    "expired key": (ErrorKind.AUTH, "key"),
    "no credit": (ErrorKind.BILLING, "plan"),
    "unknown model": (ErrorKind.NOT_FOUND, "another model"),
    "overflow": (ErrorKind.CONTEXT_OVERFLOW, "larger context"),
}


@ALL_DIALECTS
@pytest.mark.parametrize("fault", EXPECTED)
async def test_a_refusal_is_told_with_its_cause_and_what_to_do(
    monkeypatch: pytest.MonkeyPatch, dialect: Dialect, fault: str
) -> None:
    refusal = REFUSALS[fault, dialect.name]
    kind, advice = EXPECTED[fault]
    async with asked(monkeypatch, dialect, refusal.reply()) as (turn, peer):
        error = await fail(turn)
    assert error.kind is kind
    assert advice in error.hint
    assert error.status == refusal.status
    assert len(peer.requests) == 1, "asking again would not help"
    # The same fault under a status of success, as gateways report it.
    async with asked(monkeypatch, dialect, Refusal(200, refusal.body).reply()) as (turn, _):
        assert (await fail(turn)).kind is kind


@ALL_DIALECTS
async def test_a_page_of_a_gateway_is_told_in_its_words(
    monkeypatch: pytest.MonkeyPatch, dialect: Dialect
) -> None:
    page = b"<html><head><style>p{}</style></head><body><h1>502 Bad Gateway</h1>nginx\x1b[2J</body></html>"
    async with asked(monkeypatch, dialect, Reply([page], 502, "text/html")) as (turn, _):
        error = await fail(turn)
    assert error.kind is ErrorKind.SERVER
    assert "502 Bad Gateway nginx" in error.detail
    assert "<" not in error.detail
    assert "\x1b" not in error.detail


@ALL_DIALECTS
@pytest.mark.parametrize(
    ("ending", "breaks_off", "kind"),
    [
        (b"", False, ErrorKind.TRUNCATED_STREAM),
        (b"", True, ErrorKind.CONNECTION),
        (b"data: {oops\n\n", False, ErrorKind.PROTOCOL),
        (b"<html>Bye</html>\n\n", False, ErrorKind.TRUNCATED_STREAM),
        (b'data: {"error": {"message": "The machine is on fire"}}\n\n', False, ErrorKind.SERVER),
        (b'{\n  "error": {\n    "message": "On fire"\n  }\n}\n', False, ErrorKind.SERVER),
    ],
    ids=["cut", "broken off", "no JSON", "a page", "a fault", "a bare fault"],
)
async def test_what_came_before_a_fault_is_kept(
    monkeypatch: pytest.MonkeyPatch, dialect: Dialect, ending: bytes, breaks_off: bool, kind: ErrorKind
) -> None:
    pieces = [dialect.begin, dialect.text("Half an "), dialect.text("answer"), ending]
    named = {"x-request-id": "req_7"}
    reply = Reply([piece for piece in pieces if piece], headers=named, breaks_off=breaks_off)
    async with asked(monkeypatch, dialect, reply) as (turn, peer):
        error = await fail(turn)
    assert error.kind is kind
    assert re.search(r"\(.+: request (req_7|r)\)$", error.detail), "its name helps to find it in a log"
    assert turn.partial.message.text == "Half an answer"
    assert len(peer.requests) == 1, "an answer that began is not asked for again"


@ALL_DIALECTS
async def test_bytes_that_are_no_text_cost_a_character_only(
    monkeypatch: pytest.MonkeyPatch, dialect: Dialect
) -> None:
    broken = dialect.text("one ? two").replace(b"?", b"\xff\xfe")
    reply = Reply([dialect.begin, broken, dialect.text(" three"), dialect.end])
    async with asked(monkeypatch, dialect, reply) as (turn, _):
        _ = [event async for event in turn.events()]
    assert turn.partial.message.text == "one \ufffd\ufffd two three"


TWICE = [Call("call_1", "look_up", '{"word": "a"}'), Call("call_1", "look_up", '{"word": "b"}')]


@ALL_DIALECTS
async def test_calls_with_one_id_stay_two_calls_and_can_be_sent_back(
    monkeypatch: pytest.MonkeyPatch, dialect: Dialect
) -> None:
    reply = Reply([dialect.begin, dialect.calls(TWICE), dialect.end])
    async with asked(monkeypatch, dialect, reply) as (turn, _):
        _ = [event async for event in turn.events()]
    said = turn.partial.message
    calls = [part for part in said.parts if isinstance(part, ToolCallPart)]
    assert [json.loads(call.arguments) for call in calls] == [{"word": "a"}, {"word": "b"}]
    results = Message("user", tuple(ToolResultPart(call.id, "found") for call in calls))
    after = [Message.of("user", "Hi"), said, results, Message.of("user", "Go on")]
    reply = Reply([dialect.begin, dialect.text("Done"), dialect.end])
    async with asked(monkeypatch, dialect, reply, *after) as (turn, peer):
        _ = [event async for event in turn.events()]
    assert json.dumps(peer.sent()).count("found") == 2
    assert turn.partial.message.text == "Done"


@ALL_DIALECTS
async def test_arguments_that_are_no_json_are_kept_and_can_be_sent_back(
    monkeypatch: pytest.MonkeyPatch, dialect: Dialect
) -> None:
    broken = [Call("call_1", "look_up", '{"word": "a')]
    reply = Reply([dialect.begin, dialect.calls(broken), dialect.end])
    async with asked(monkeypatch, dialect, reply) as (turn, _):
        _ = [event async for event in turn.events()]
    said = turn.partial.message
    (call,) = [part for part in said.parts if isinstance(part, ToolCallPart)]
    # Gemini writes no JSON of its own, so that nothing can be broken but the type.
    assert call.arguments == ("{}" if dialect.name == "generate" else '{"word": "a')
    reply = Reply([dialect.begin, dialect.text("Done"), dialect.end])
    async with asked(
        monkeypatch, dialect, reply, Message.of("user", "Hi"), said, Message.of("user", "Go on")
    ) as (turn, peer):
        _ = [event async for event in turn.events()]
    assert "look_up" in json.dumps(peer.sent())
    assert turn.partial.message.text == "Done"

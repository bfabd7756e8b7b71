"""Servers that run on this machine are offered, and only those."""

from __future__ import annotations

import asyncio
import json
import time
from contextlib import aclosing

import pytest
from pydantic import SecretStr

from jackfield import (
    ChatRequest,
    Credential,
    ErrorKind,
    Finished,
    Message,
    Model,
    Progress,
    Provider,
    ProviderError,
    StopReason,
    StreamEvent,
    TextDelta,
)
from providers.local_servers import PRODUCTS, LocalServersPlugin, read_models
from tests.providers.conftest import MakeContext
from tests.providers.peer import DONE, Peer, Reply, chunk, running_peer

REQUEST = ChatRequest("m", [Message.of("user", "Hi")])
MODELS = {"object": "list", "data": [{"id": "qwen:7b"}, {"id": "org/model", "max_model_len": 32768}]}
WHOLE = [chunk({"role": "assistant", "content": None}), chunk({"content": "Hel"}), chunk({"content": "lo"})]
END = [
    chunk(finish_reason="stop"),
    chunk(choices=[], usage={"prompt_tokens": 9, "completion_tokens": 2}),
    DONE,
]


@pytest.fixture(autouse=True)
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long was slept each time before it was asked again; nobody waits for it."""
    times: list[float] = []

    async def note(seconds: float) -> None:
        times.append(seconds)

    monkeypatch.setattr("providers.wire.retry._sleep", note)
    return times


def json_reply(body: object, status: int = 200) -> Reply:
    return Reply([json.dumps(body).encode()], status, "application/json")


def offer(make_context: MakeContext, peer: Peer | str, name: str = "ollama") -> Provider:
    """The provider for one product, sent to the address of a peer."""
    plugin = LocalServersPlugin()
    address = peer if isinstance(peer, str) else peer.url
    plugin.on_init(make_context("local-servers", **{f"{name}_url": address}))
    return next(provider for provider in plugin.providers() if provider.name == name)


async def answer(provider: Provider, credential: Credential | None = None) -> list[StreamEvent]:
    return [event async for event in provider.stream(REQUEST, credential)]


async def failing(provider: Provider) -> tuple[ProviderError, list[StreamEvent]]:
    """The error of an answer, and what came before it."""
    events: list[StreamEvent] = []

    async def read() -> None:
        async for event in provider.stream(REQUEST, None):
            events.append(event)  # noqa: PERF401 - what came before the error counts

    with pytest.raises(ProviderError) as caught:
        await read()
    assert caught.value.title
    assert caught.value.hint
    return caught.value, events


def test_every_product_is_described_without_asking_it() -> None:
    providers = LocalServersPlugin().providers()
    assert [provider.name for provider in providers] == ["ollama", "llamacpp", "lmstudio", "vllm"]
    assert [product.port for product in PRODUCTS] == [11434, 8080, 1234, 8000]
    assert providers[0].title == "Ollama on this machine"
    assert all(provider.known_models == () for provider in providers)


async def test_a_running_server_offers_its_models(
    make_context: MakeContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("providers.local_servers._PROBE_LIMIT_S", 60.0)
    async with running_peer(json_reply(MODELS)) as peer:
        models = await offer(make_context, f"{peer.url}/v1/").models(None)
    assert list(models) == [Model("qwen:7b"), Model("org/model", context_window=32768)]
    assert peer.requests[0][0] == "GET /v1/models HTTP/1.1"


@pytest.mark.parametrize(
    "reply",
    [
        Reply([b"<html>A router</html>"], 200, "text/html"),
        json_reply({"error": "not found"}, 404),
        json_reply({"models": []}),
        json_reply({"data": "x"}),
        json_reply([1]),
        Reply([b"{"], 200, "application/json"),
        Reply([b"{", b"}" * 100], 200, "application/json", breaks_off=True),
        json_reply(MODELS, 301),
    ],
    ids=["a page", "404", "no data", "data is text", "a list", "broken JSON", "broken off", "redirect"],
)
async def test_something_else_on_the_port_is_not_offered(make_context: MakeContext, reply: Reply) -> None:
    async with running_peer(reply) as peer:
        assert await offer(make_context, peer, "llamacpp").models(None) == ()


async def test_where_nothing_listens_nothing_is_offered_at_once(
    make_context: MakeContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("providers.local_servers._PROBE_LIMIT_S", 60.0)
    provider = offer(make_context, "http://127.0.0.1:9")
    await provider.models(None)  # the first one pays for the import of httpx
    began = time.monotonic()
    assert await provider.models(None) == ()
    assert time.monotonic() - began < 10


async def test_a_server_that_does_not_answer_is_not_waited_for(make_context: MakeContext) -> None:
    async with running_peer(Reply([b"{"], stays_open=True)) as peer:
        provider = offer(make_context, peer)
        await provider.models(None)
        began = time.monotonic()
        assert await provider.models(None) == ()
        assert time.monotonic() - began < 5


@pytest.mark.parametrize("address", ["127.0.0.1:1234", "", "file:///etc/passwd", 7])
async def test_an_address_that_is_none_is_named(make_context: MakeContext, address: object) -> None:
    plugin = LocalServersPlugin()
    plugin.on_init(make_context("local-servers", ollama_url=address))
    with pytest.raises(ProviderError) as caught:
        await plugin.providers()[0].models(None)
    assert "ollama_url" in caught.value.title


def test_models_with_ids_that_cannot_be_shown_are_left_out() -> None:
    body = {"data": [{"id": "a\x1b[2Jb"}, {"id": "ok"}, {"id": ""}, {"id": 7}, {}, None, {"id": "ok"}]}
    assert read_models(body) == (Model("ok"),)


def test_the_context_is_what_the_server_tells() -> None:
    body = {
        "data": [
            {"id": "a", "meta": {"n_ctx_train": 8192}},
            {"id": "b", "meta": {"n_ctx": 4096, "n_ctx_train": 8192}},
            {"id": "c", "meta": None, "max_model_len": "many"},
        ]
    }
    assert [model.context_window for model in read_models(body)] == [8192, 4096, None]


async def test_an_answer_is_streamed(make_context: MakeContext) -> None:
    async with running_peer(Reply([*WHOLE, *END])) as peer:
        events = await answer(offer(make_context, peer))
    assert [event.text for event in events if isinstance(event, TextDelta)] == ["Hel", "lo"]
    assert isinstance(events[-1], Finished)
    assert events[-1].stop is StopReason.END
    assert events[-1].usage is not None
    assert (events[-1].usage.input, events[-1].usage.output) == (9, 2)
    assert peer.requests[0][0] == "POST /v1/chat/completions HTTP/1.1"
    assert peer.sent()["messages"] == [{"role": "user", "content": "Hi"}]
    assert "authorization" not in peer.requests[0][1]


async def test_a_key_is_sent_where_there_is_one(make_context: MakeContext) -> None:
    async with running_peer(Reply([*WHOLE, *END])) as peer:
        await answer(offer(make_context, peer), Credential(secrets={"key": SecretStr("s3cret")}))
    assert peer.requests[0][1]["authorization"] == "Bearer s3cret"


async def test_one_byte_at_a_time_gives_the_same_answer(make_context: MakeContext) -> None:
    stream = b": comment\r\n\r\n" + b"".join([*WHOLE, *END]).replace(b"\n", b"\r\n")
    async with running_peer(Reply([bytes([byte]) for byte in stream])) as peer:
        events = await answer(offer(make_context, peer))
    assert [event.text for event in events if isinstance(event, TextDelta)] == ["Hel", "lo"]


async def test_bytes_that_are_no_text_do_not_end_the_answer(make_context: MakeContext) -> None:
    broken = chunk({"content": "a?b"}).replace(b"?", b"\xff")
    async with running_peer(Reply([broken, *END])) as peer:
        events = await answer(offer(make_context, peer))
    assert TextDelta("a\ufffdb", 0) in events


async def test_a_server_that_ignores_the_wish_to_stream_is_understood(make_context: MakeContext) -> None:
    whole = {"id": "1", "choices": [{"message": {"content": "Hi"}, "finish_reason": "stop"}]}
    async with running_peer(json_reply(whole)) as peer:
        events = await answer(offer(make_context, peer))
    assert TextDelta("Hi", 0) in events
    assert isinstance(events[-1], Finished)


@pytest.mark.parametrize(
    ("reply", "kind", "before"),
    [
        (Reply(WHOLE, breaks_off=True), ErrorKind.CONNECTION, ["Hel", "lo"]),
        (Reply(WHOLE), ErrorKind.TRUNCATED_STREAM, ["Hel", "lo"]),
        (Reply([*WHOLE, DONE]), ErrorKind.TRUNCATED_STREAM, ["Hel", "lo"]),
        (Reply([*WHOLE, b'data: {"error": {"message": "crash"}}\n\n']), ErrorKind.SERVER, ["Hel", "lo"]),
        (Reply([*WHOLE, b"data: {oops\n\n"]), ErrorKind.PROTOCOL, ["Hel", "lo"]),
        (Reply([b"<html>Bad gateway</html>"], 502, "text/html"), ErrorKind.SERVER, []),
        (Reply([b"<html>Hello</html>"], 200, "text/html"), ErrorKind.PROTOCOL, []),
        (json_reply({"error": {"message": "no model", "code": 404}}), ErrorKind.NOT_FOUND, []),
        (json_reply({"error": "model not found"}, 404), ErrorKind.NOT_FOUND, []),
        (json_reply({"error": {"message": "Loading model", "code": 503}}, 503), ErrorKind.OVERLOADED, []),
        (Reply([]), ErrorKind.TRUNCATED_STREAM, []),
    ],
    ids=[
        *[
            "raises in the middle",
            "ends without a finish",
            "done without a finish",
            "error chunk",
            "bad chunk",
        ],
        *["a page with 502", "a page with 200", "200 with an error", "unknown model", "loading", "nothing"],
    ],
)
async def test_a_fault_is_told_and_what_came_stands(
    make_context: MakeContext, reply: Reply, kind: ErrorKind, before: list[str]
) -> None:
    async with running_peer(reply) as peer:
        error, events = await failing(offer(make_context, peer))
    assert error.kind is kind
    assert [event.text for event in events if isinstance(event, TextDelta)] == before
    assert not any(isinstance(event, Finished) for event in events)


async def test_a_server_that_does_not_run_comes_with_the_way_to_start_it(
    make_context: MakeContext, slept: list[float]
) -> None:
    error, events = await failing(offer(make_context, "http://127.0.0.1:9"))
    assert error.kind is ErrorKind.CONNECTION
    assert "`ollama serve`" in error.hint
    assert (slept, events) == ([], []), "it will not start by itself"


async def test_a_model_that_is_being_loaded_is_waited_for(make_context: MakeContext) -> None:
    loading = json_reply({"error": {"message": "Loading model", "code": 503}}, 503)
    async with running_peer(loading, loading, Reply([*WHOLE, *END])) as peer:
        events = await answer(offer(make_context, peer, "llamacpp"))
    assert any(isinstance(event, Progress) for event in events)
    assert [event.text for event in events if isinstance(event, TextDelta)] == ["Hel", "lo"]


@pytest.mark.parametrize("way", ["close", "cancel"])
async def test_stopping_closes_the_connection_at_once(make_context: MakeContext, way: str) -> None:
    async with running_peer(Reply(WHOLE, stays_open=True)) as peer:
        provider = offer(make_context, peer)
        arrived = asyncio.Event()

        async def read() -> None:
            async with aclosing(provider.stream(REQUEST, None)) as events:  # type: ignore[type-var]
                async for event in events:
                    if event == TextDelta("lo", 0):
                        arrived.set()
                        if way == "close":
                            return

        reading = asyncio.ensure_future(read())
        await asyncio.wait_for(arrived.wait(), 20)
        began = time.monotonic()
        if way == "cancel":
            reading.cancel()
        await asyncio.wait({reading}, timeout=20)
        await asyncio.wait_for(peer.left.wait(), 20)
        assert time.monotonic() - began < 10, "the server would have gone on for ever"

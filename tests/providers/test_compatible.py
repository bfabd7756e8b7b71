"""Compatible endpoints against a real server: addresses, keys, models, and what each quirk changes."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from pydantic import SecretStr

from jackfield import (
    Credential,
    ErrorKind,
    Finished,
    Model,
    ProviderError,
    safe_text,
)
from providers.compatible import FAMILY, CompatibleProvider
from providers.compatible_rows import Ask
from providers.wire import retry
from tests.providers.conftest import MakeContext
from tests.providers.endpoints import (
    ANSWER,
    KEY,
    ROW,
    answer,
    built_in,
    failure,
    listing,
    offer,
    refusal,
    request,
    texts,
)
from tests.providers.peer import running_peer

# -- where and with which key -------------------------------------------------------------------------------


async def test_an_answer_is_streamed_with_the_key_as_a_bearer(make_context: MakeContext) -> None:
    async with running_peer(ANSWER) as peer:
        events = await answer(offer(make_context, peer))
    assert texts(events) == "Hi"
    assert isinstance(events[-1], Finished)
    line, headers, _ = peer.requests[0]
    assert line == "POST /v1/chat/completions HTTP/1.1"
    assert headers["authorization"] == "Bearer s3cret"
    assert peer.sent()["model"] == "m"


async def test_without_a_key_the_error_names_the_variable_to_set_and_nothing_is_sent(
    make_context: MakeContext,
) -> None:
    async with running_peer(ANSWER) as peer:
        error = await failure(offer(make_context, peer), credential=None)
    assert error.kind is ErrorKind.AUTH
    assert "ACME_KEY" in error.hint
    assert "Acme" in error.title
    assert peer.requests == []


async def test_a_server_that_wants_no_key_is_sent_none(make_context: MakeContext) -> None:
    async with running_peer(ANSWER) as peer:
        await answer(offer(make_context, peer, replace(ROW, key="none")), credential=KEY)
        await answer(offer(make_context, peer, replace(ROW, key="optional")), credential=None)
    assert all("authorization" not in headers for _, headers, _ in peer.requests)


async def test_azure_is_sent_its_key_in_a_header_and_its_version_in_the_query(
    make_context: MakeContext,
) -> None:
    async with running_peer(ANSWER) as peer:
        azure = built_in(make_context, peer, "azure", api_version="preview", deployment="my-gpt")
        models = await azure.models(KEY)
        await answer(azure, request(max_tokens=9))
    line, headers, _ = peer.requests[0]
    assert line == "POST /openai/v1/chat/completions?api-version=preview HTTP/1.1"
    assert headers["api-key"] == "s3cret"
    assert "authorization" not in headers
    assert peer.sent()["max_completion_tokens"] == 9
    assert models == (Model("my-gpt"),)


async def test_headers_of_the_row_are_sent_with_each_request(make_context: MakeContext) -> None:
    async with running_peer(ANSWER) as peer:
        await answer(built_in(make_context, peer, "openrouter"))
    assert peer.requests[0][1]["x-openrouter-title"] == "Jackfield"


@pytest.mark.parametrize(
    ("written", "asked"),
    [
        ("", "/v1/chat/completions"),
        ("/", "/v1/chat/completions"),
        ("/v1", "/v1/chat/completions"),
        ("/v1/chat/completions", "/v1/chat/completions"),
        ("/api/paas/v4/", "/api/paas/v4/chat/completions"),
    ],
)
async def test_the_address_of_a_custom_server_is_understood_however_it_is_written(
    make_context: MakeContext, written: str, asked: str
) -> None:
    plugin = FAMILY.make("custom")
    async with running_peer(ANSWER) as peer:
        plugin.on_init(make_context("custom", url=peer.url + written))
        (provider,) = plugin.providers()
        assert isinstance(provider, CompatibleProvider)
        await answer(provider, credential=None)
    assert peer.requests[0][0] == f"POST {asked} HTTP/1.1"
    assert "authorization" not in peer.requests[0][1]


async def test_what_the_user_signed_in_with_goes_before_the_configuration(make_context: MakeContext) -> None:
    async with running_peer(ANSWER) as peer:
        plugin = FAMILY.make("custom")
        plugin.on_init(make_context("custom", url="http://127.0.0.1:9"))
        (provider,) = plugin.providers()
        assert isinstance(provider, CompatibleProvider)
        await answer(provider, credential=Credential(secrets=KEY.secrets, values={"url": peer.url}))
    assert peer.requests[0][1]["authorization"] == "Bearer s3cret"


async def test_a_variable_may_say_where_the_server_is(
    make_context: MakeContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running_peer(ANSWER) as peer:
        monkeypatch.setenv("CUSTOM_API_URL", peer.url)
        plugin = FAMILY.make("custom")
        plugin.on_init(make_context("custom"))
        (provider,) = plugin.providers()
        assert isinstance(provider, CompatibleProvider)
        assert texts(await answer(provider, credential=None)) == "Hi"


async def test_without_an_address_the_error_says_how_to_give_one(make_context: MakeContext) -> None:
    plugin = FAMILY.make("custom")
    plugin.on_init(make_context("custom"))
    (provider,) = plugin.providers()
    assert isinstance(provider, CompatibleProvider)
    error = await failure(provider, credential=None)
    assert "Address" in error.title
    assert "[plugins.custom.options]" in error.hint
    assert "CUSTOM_API_URL" in error.hint


@pytest.mark.parametrize("url", ["127.0.0.1:80", "file:///etc/passwd", "http://", "http://[", "http://a:b"])
async def test_an_address_that_is_none_is_told(make_context: MakeContext, url: str) -> None:
    error = await failure(offer(make_context, url))
    assert error.kind is ErrorKind.BAD_REQUEST
    assert "address" in error.title


async def test_what_is_asked_for_is_put_into_the_address_safely(make_context: MakeContext) -> None:
    async with running_peer(ANSWER) as peer:
        row = replace(
            ROW, base_url=f"{peer.url}/accounts/{{account_id}}/v1", asks={"account_id": Ask("Account")}
        )
        await answer(offer(make_context, "", row, account_id="a/../b c"))
    assert peer.requests[0][0] == "POST /accounts/a%2F..%2Fb%20c/v1/chat/completions HTTP/1.1"


@pytest.mark.parametrize(
    ("name", "value"),
    [("url", 7), ("models", "m"), ("models", [1]), ("quirks", {"max_token": "x"}), ("quirks", 3)],
)
async def test_an_option_that_cannot_be_used_is_named(
    make_context: MakeContext, name: str, value: object
) -> None:
    provider = CompatibleProvider("acme", replace(ROW, models=""))
    provider.use(make_context("acme", **{"url": "http://127.0.0.1:9", name: value}))
    with pytest.raises(ProviderError) as caught:
        await (provider.models(KEY) if name == "models" else answer(provider))
    assert f"option {name} of Acme" in caught.value.title


async def test_the_user_may_write_quirks_of_a_server_that_no_row_knows(make_context: MakeContext) -> None:
    async with running_peer(ANSWER) as peer:
        quirks = {"max_tokens": "max_completion_tokens", "stream_options": False}
        await answer(offer(make_context, peer, quirks=quirks), request(max_tokens=5))
    assert peer.sent()["max_completion_tokens"] == 5
    assert "stream_options" not in peer.sent()


# -- faults -------------------------------------------------------------------------------------------------


async def test_a_refusal_names_the_provider_the_status_the_request_and_the_next_step(
    make_context: MakeContext,
) -> None:
    async with running_peer(refusal(401, "bad key", **{"x-request-id": "r-1"})) as peer:
        error = await failure(offer(make_context, peer))
    assert error.kind is ErrorKind.AUTH
    assert "Acme" in error.title
    assert "HTTP 401" in error.detail
    assert "r-1" in error.detail
    assert "s3cret" not in str(error)


async def test_a_server_that_is_busy_is_asked_again(
    make_context: MakeContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def no_pause(seconds: float) -> None:
        assert seconds >= 0

    monkeypatch.setattr(retry, "_sleep", no_pause)
    async with running_peer(refusal(503, "busy", **{"retry-after-ms": "5"}), ANSWER) as peer:
        assert texts(await answer(offer(make_context, peer))) == "Hi"
    assert len(peer.requests) == 2


async def test_a_field_that_the_server_does_not_know_is_left_out_from_then_on(
    make_context: MakeContext,
) -> None:
    refused = refusal(400, "Unsupported parameter: 'temperature' is not supported with this model.")
    async with running_peer(refused, ANSWER) as peer:
        provider = offer(make_context, peer)
        events = await answer(provider, request(temperature=0.5))
        again = await answer(provider, request(temperature=0.5))
    assert [("temperature" in json.loads(body)) for _, _, body in peer.requests] == [True, False, False]
    for finished in (events[-1], again[-1]):
        assert isinstance(finished, Finished)
        assert finished.details["left_out"] == "temperature"


async def test_a_limit_that_has_another_name_is_sent_under_it(make_context: MakeContext) -> None:
    refused = refusal(400, "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead.")
    async with running_peer(refused, ANSWER) as peer:
        events = await answer(offer(make_context, peer), request(max_tokens=7))
    assert peer.sent()["max_completion_tokens"] == 7
    assert "max_tokens" not in peer.sent()
    assert isinstance(events[-1], Finished)
    assert "left_out" not in events[-1].details


async def test_an_effort_that_is_refused_is_told_by_its_own_name(make_context: MakeContext) -> None:
    async with running_peer(refusal(422, "reasoning_effort: Extra inputs are not permitted"), ANSWER) as peer:
        events = await answer(offer(make_context, peer), request(effort="high"))
    assert isinstance(events[-1], Finished)
    assert events[-1].details["left_out"] == "effort"


async def test_a_server_that_refuses_everything_is_not_asked_for_ever(make_context: MakeContext) -> None:
    names = ["a1", "b2", "c3", "d4", "e5", "f6"]
    replies = [refusal(400, f"Unknown parameter: {name}") for name in names]
    async with running_peer(*replies) as peer:
        asked = request()
        asked.parameters.update(dict.fromkeys(names, 1))
        error = await failure(offer(make_context, peer), asked)
    assert error.kind is ErrorKind.BAD_REQUEST
    assert len(peer.requests) == 5


async def test_a_value_out_of_range_is_no_reason_to_leave_a_parameter_out(make_context: MakeContext) -> None:
    async with running_peer(refusal(400, "temperature must be at most 2")) as peer:
        error = await failure(offer(make_context, peer), request(temperature=9))
    assert "at most 2" in error.detail
    assert len(peer.requests) == 1


async def test_a_provider_that_is_off_says_so() -> None:
    error_of = CompatibleProvider("acme", ROW)
    with pytest.raises(ProviderError, match="switched off"):
        await answer(error_of)


# -- models -------------------------------------------------------------------------------------------------


async def test_the_list_of_the_server_is_completed_by_what_is_known(make_context: MakeContext) -> None:
    row = replace(ROW, known=(Model("m", "Em", 1000, reasoning=True), Model("old")))
    async with running_peer(listing({"id": "m"}, {"id": "new", "context_length": 5})) as peer:
        models = await offer(make_context, peer, row).models(KEY)
    assert models == (Model("m", "Em", 1000, reasoning=True), Model("new", context_window=5))
    assert peer.requests[0][0] == "GET /v1/models HTTP/1.1"
    assert peer.requests[0][1]["authorization"] == "Bearer s3cret"


async def test_a_server_on_this_machine_is_asked_each_time_since_its_models_change(
    make_context: MakeContext,
) -> None:
    async with running_peer(listing({"id": "one"}), listing({"id": "two"})) as peer:
        provider = offer(make_context, peer)
        assert [model.id for model in await provider.models(KEY)] == ["one"]
        assert [model.id for model in await provider.models(KEY)] == ["two"]


async def test_a_server_elsewhere_is_asked_once_for_each_key(
    make_context: MakeContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("providers.wire.addresses.is_local", lambda url: False)
    monkeypatch.setenv("NO_PROXY", "*")
    async with running_peer(listing({"id": "one"}), listing({"id": "two"})) as peer:
        provider = offer(make_context, peer)
        first = await provider.models(KEY)
        assert await provider.models(KEY) == first
        other = await provider.models(Credential(secrets={"key": SecretStr("other")}))
    assert [model.id for model in other] == ["two"]
    assert len(peer.requests) == 2


async def test_without_a_key_the_known_models_are_given_and_nobody_is_asked(
    make_context: MakeContext,
) -> None:
    async with running_peer(listing()) as peer:
        assert await offer(make_context, peer, replace(ROW, known=(Model("m"),))).models(None) == (
            Model("m"),
        )
        with pytest.raises(ProviderError, match="no key"):
            await offer(make_context, peer).models(None)
    assert peer.requests == []


async def test_a_public_list_is_read_without_a_key(make_context: MakeContext) -> None:
    async with running_peer(listing({"id": "m"})) as peer:
        models = await offer(make_context, peer, replace(ROW, models_need_key=False)).models(None)
    assert models == (Model("m"),)


async def test_where_there_is_no_list_the_known_models_stand_in(make_context: MakeContext) -> None:
    known = replace(ROW, known=(Model("m"),))
    async with running_peer(refusal(404, "no such path")) as peer:
        assert await offer(make_context, peer, known).models(KEY) == (Model("m"),)
        with pytest.raises(ProviderError) as caught:
            await offer(make_context, peer).models(KEY)
    assert caught.value.kind is ErrorKind.NOT_FOUND
    async with running_peer(listing()) as peer:
        assert await offer(make_context, peer, known).models(KEY) == (Model("m"),)


async def test_models_that_the_user_names_come_first_and_once(make_context: MakeContext) -> None:
    async with running_peer(listing({"id": "a"}, {"id": "b"})) as peer:
        models = await offer(make_context, peer, models=["b", "mine"]).models(KEY)
    assert [model.id for model in models] == ["b", "mine", "a"]


async def test_hostile_text_in_an_option_is_shown_harmlessly(make_context: MakeContext) -> None:
    provider = CompatibleProvider("acme", ROW)
    provider.use(make_context("acme", models="\x1b]0;owned\x07"))
    with pytest.raises(ProviderError) as caught:
        provider._endpoint.named_models(None)
    assert str(caught.value) == safe_text(str(caught.value))

"""A turn whose credential the server refuses is tried once more with a renewed one."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from jackfield import (
    ChatRequest,
    Credential,
    ErrorKind,
    Finished,
    Message,
    Model,
    Plugin,
    Progress,
    Provider,
    ProviderError,
    StreamEvent,
    TextDelta,
)
from registry.connections import Connections
from registry.http import create_client
from registry.models import available_models
from registry.turn import Turn, TurnFinished
from tests.providers.endpoints import refusal
from tests.providers.peer import Peer, Reply, running_peer
from tests.registry.connection_fixtures import PAGE, key, make_cheap_file, make_connections, tokens
from tests.registry.plugins_for_tests import (
    HELLO,
    Sample,
    ScriptedProvider,
    close_all_registries,
    collect,
    hook_plugin,
    registry_with,
    scripted,
    turn_of,
)
from tests.registry.test_refreshing import granted, refused

REFUSED = ProviderError(ErrorKind.AUTH, "The key is not accepted", status=401)


@pytest.fixture(autouse=True)
async def _closed() -> AsyncIterator[None]:
    await make_cheap_file()
    yield
    await close_all_registries()


class Refusing(ScriptedProvider):
    """Refuses what it is told to, after the events that it is told to give before."""

    def __init__(self, *refused: str, first: Sequence[StreamEvent] = (), error: Exception = REFUSED) -> None:
        super().__init__("scripted")
        self._refused = refused
        self._first = first
        self._error = error

    async def stream(self, request: ChatRequest, credential: Any) -> AsyncIterator[StreamEvent]:
        self.credentials.append(credential)
        for event in self._first:
            yield event
        if credential is None or credential.token in self._refused:
            raise self._error
        for event in HELLO:
            yield event


class Renewals:
    """Gives the credentials that it was made with, one after the other, and then none."""

    def __init__(self, *given: Credential) -> None:
        self._given = list(given)
        self.asked: list[tuple[str, str]] = []

    async def __call__(self, provider: str, rejected: Credential) -> Credential | None:
        self.asked.append((provider, rejected.token))
        return self._given.pop(0) if self._given else None


def turn(folder: Path, provider: Refusing, renewals: Renewals, *plugins: Plugin) -> Turn:
    """A turn with the credential `old`."""
    registry = registry_with(folder, *plugins)
    given = registry.handle("zz-scripted").given
    assert isinstance(given, Sample)
    given.provider = provider
    return turn_of(registry, credential=key("old"), renew=renewals)


async def test_a_refused_credential_is_renewed_and_the_answer_comes_as_if_nothing_had_been(
    tmp_path: Path,
) -> None:
    provider, renewals = Refusing("old"), Renewals(key("new"))
    events = await collect(turn(tmp_path, provider, renewals))
    assert events[:-1] == list(HELLO)
    assert isinstance(events[-1], TurnFinished)
    assert events[-1].response.message.text == "Hello there"
    assert renewals.asked == [("scripted", "old")]


async def test_a_credential_is_renewed_once_and_never_twice(tmp_path: Path) -> None:
    provider, renewals = Refusing("old", "new"), Renewals(key("new"), key("newer"))
    with pytest.raises(ProviderError) as failed:
        await collect(turn(tmp_path, provider, renewals))
    assert failed.value is REFUSED
    assert (len(provider.credentials), renewals.asked) == (2, [("scripted", "old")])


async def test_where_nothing_can_be_renewed_the_provider_says_what_is_wrong(tmp_path: Path) -> None:
    provider, renewals = Refusing("old"), Renewals()
    with pytest.raises(ProviderError) as failed:
        await collect(turn(tmp_path, provider, renewals))
    assert failed.value is REFUSED
    assert len(provider.credentials) == 1


async def test_what_is_wrong_with_renewing_is_told_in_place_of_the_refusal(tmp_path: Path) -> None:
    gone = ProviderError(ErrorKind.AUTH, "You are no longer signed in")

    async def renew(_provider: str, _rejected: Credential) -> Credential | None:
        raise gone

    with pytest.raises(ProviderError) as failed:
        await collect(turn(tmp_path, Refusing("old"), renew))  # type: ignore[arg-type]
    assert failed.value is gone


@pytest.mark.parametrize("first", [[Progress("Waiting", 1, 3, "steps")], []])
async def test_progress_is_no_answer_yet(tmp_path: Path, first: list[StreamEvent]) -> None:
    provider, renewals = Refusing("old", first=first), Renewals(key("new"))
    events = await collect(turn(tmp_path, provider, renewals))
    assert isinstance(events[-1], TurnFinished)


async def test_an_answer_that_has_begun_is_never_asked_for_again(tmp_path: Path) -> None:
    provider, renewals = Refusing("old", first=[TextDelta("Hel")]), Renewals(key("new"))
    running = turn(tmp_path, provider, renewals)
    with pytest.raises(ProviderError):
        await collect(running)
    assert (renewals.asked, running.partial.message.text) == ([], "Hel")


@pytest.mark.parametrize(
    "error",
    [
        ProviderError(ErrorKind.PERMISSION, "Not allowed", status=403),
        ProviderError(ErrorKind.AUTH, "Not allowed", status=403),
        ProviderError(ErrorKind.AUTH, "No key"),
        ProviderError(ErrorKind.RATE_LIMITED, "Too fast", status=429),
    ],
)
async def test_no_other_error_renews_anything(tmp_path: Path, error: ProviderError) -> None:
    provider, renewals = Refusing("old", error=error), Renewals(key("new"))
    with pytest.raises(ProviderError):
        await collect(turn(tmp_path, provider, renewals))
    assert renewals.asked == []


async def test_a_provider_that_a_hook_chose_gets_neither_the_credential_nor_a_renewed_one(
    tmp_path: Path,
) -> None:
    def on_request(request: ChatRequest) -> None:
        request.provider = "other-provider"

    other = Sample("other", provider=ScriptedProvider("other-provider", [REFUSED]))
    renewals = Renewals(key("new"))
    registry = registry_with(tmp_path, other, hook_plugin(on_request=on_request))
    with pytest.raises(ProviderError):
        await collect(turn_of(registry, credential=key("old"), renew=renewals))
    assert renewals.asked == []
    assert scripted(registry).credentials == []


# -- over HTTP, with real connections ---


class Remote(Provider):
    """Asks a server for its models, and for an answer of one line."""

    name = "remote"

    def __init__(self, url: str) -> None:
        self._url = url

    async def _ask(self, path: str, credential: Credential | None) -> str:
        headers = {"Authorization": f"Bearer {credential.token}"} if credential else {}
        async with create_client(local=True) as client:
            answer = await client.post(self._url + path, headers=headers)
        if answer.status_code == 401:
            raise ProviderError(ErrorKind.AUTH, "Refused", status=401)
        return answer.text

    async def models(self, credential: Credential | None) -> Sequence[Model]:
        return [Model(await self._ask("/models", credential))]

    async def stream(self, request: ChatRequest, credential: Credential | None) -> AsyncIterator[StreamEvent]:
        yield TextDelta(await self._ask("/chat", credential))
        yield Finished()


@pytest.fixture
async def peer() -> AsyncIterator[Peer]:
    async with running_peer() as running:
        yield running


async def connected(folder: Path, peer: Peer, *replies: Reply) -> Connections:
    """The remote provider, with tokens that the same server renews."""
    peer.replies[:] = replies
    registry = registry_with(folder, Sample("remote", provider=Remote(peer.url)))
    connections = make_connections(registry=registry)
    await connections.add("remote", PAGE, tokens(url=peer.url, expires_at=9e9))
    return connections


def paths_and_tokens(peer: Peer) -> list[tuple[str, str]]:
    """What the server was asked, in order."""
    return [(head.split()[1], headers.get("authorization", "")) for head, headers, _ in peer.requests]


async def remote_turn(connections: Connections) -> list[Any]:
    request = ChatRequest("m", [Message.of("user", "Hi")], "remote")
    credential = await connections.resolve("remote")
    return await collect(Turn(connections._registry, request, credential, renew=connections.renew))


async def test_a_server_that_refuses_a_token_gets_a_new_one_and_answers(tmp_path: Path, peer: Peer) -> None:
    connections = await connected(
        tmp_path, peer, refusal(401, "expired"), granted("access-two"), Reply([b"Hi"])
    )
    events = await remote_turn(connections)
    assert isinstance(events[-1], TurnFinished)
    assert events[-1].response.message.text == "Hi"
    assert paths_and_tokens(peer) == [
        ("/chat", "Bearer access-one"),
        ("/token", ""),
        ("/chat", "Bearer access-two"),
    ]


async def test_a_server_that_goes_on_refusing_is_asked_twice_and_no_more(tmp_path: Path, peer: Peer) -> None:
    no = refusal(401, "never")
    connections = await connected(tmp_path, peer, no, granted("access-two"), no)
    with pytest.raises(ProviderError) as failed:
        await remote_turn(connections)
    assert failed.value.status == 401
    assert len(peer.requests) == 3


async def test_a_sign_in_that_has_ended_says_to_sign_in_again(tmp_path: Path, peer: Peer) -> None:
    connections = await connected(tmp_path, peer, refusal(401, "expired"), refused("invalid_grant"))
    with pytest.raises(ProviderError, match="no longer signed in to remote") as failed:
        await remote_turn(connections)
    assert "jackfield auth login remote" in failed.value.hint
    assert len(peer.requests) == 2


async def test_models_are_listed_with_a_renewed_token(tmp_path: Path, peer: Peer) -> None:
    connections = await connected(
        tmp_path, peer, refusal(401, "expired"), granted("access-two"), Reply([b"one"])
    )
    registry = connections._registry
    entry = next(entry for entry in registry.providers() if entry.name == "remote")
    assert [model.id for model in await available_models(registry, connections, entry)] == ["one"]
    assert [token for _, token in paths_and_tokens(peer)] == ["Bearer access-one", "", "Bearer access-two"]

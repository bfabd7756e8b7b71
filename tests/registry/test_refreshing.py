"""Credentials are renewed in time, once for everybody, and lost by nobody."""

from __future__ import annotations

import asyncio
import json
import sys
import threading
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from jackfield import Credential, ErrorKind, ProviderError
from registry.connections import Connection, Connections, SignInNeededError
from registry.errors import JackfieldError
from registry.http import create_client
from registry.oauth import CodeSignIn
from registry.secret_store import StoreError, StoreFault
from tests.providers.peer import Peer, Reply, running_peer
from tests.registry.connection_fixtures import KEY, PAGE, key, make_cheap_file, make_connections, tokens
from tests.registry.oauth.servers import AuthServer, Browser, code_method, oidc_server
from tests.registry.oauth.steps import secret, sign_in

ROOT = Path(__file__).parents[2]
NOW = 1_000_000.0


@pytest.fixture(autouse=True)
async def _cheap_file(app_home: None) -> None:
    await make_cheap_file()


@pytest.fixture(scope="module")
def oidc() -> Iterator[AuthServer]:
    with oidc_server() as server:
        yield server


@pytest.fixture
async def peer() -> AsyncIterator[Peer]:
    async with running_peer(granted("access-two")) as running:
        yield running


def granted(access: str, **answer: object) -> Reply:
    """What a token endpoint says that renews."""
    said = {"access_token": access, "token_type": "Bearer", "expires_in": 3600, **answer}
    return Reply([json.dumps(said).encode()], content_type="application/json")


def refused(error: str, status: int = 400) -> Reply:
    """What a token endpoint says that does not."""
    return Reply([json.dumps({"error": error}).encode()], status=status, content_type="application/json")


class Clock:
    """The time, as a test sets it."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


async def used(connections: Connections) -> Credential:
    """The credential that the provider would get."""
    credential = await connections.resolve("service")
    assert credential is not None
    return credential


async def only(connections: Connections) -> Connection:
    (entry,) = await connections.all()
    return entry


# -- when ---


@pytest.mark.parametrize(
    ("lifetime", "left", "renewed"),
    [(3600, 61, False), (3600, 59, True), (3600, -5, True), (40, 11, False), (40, 9, True), (0, 0, True)],
)
async def test_a_token_is_renewed_a_minute_or_a_quarter_of_its_life_ahead(
    peer: Peer, clock: Clock, lifetime: float, left: float, renewed: bool
) -> None:
    connections = make_connections(clock=clock)
    await connections.add("service", PAGE, tokens(url=peer.url, expires_at=NOW + lifetime))
    clock.now = NOW + lifetime - left
    assert (await used(connections)).token == ("access-two" if renewed else "access-one")
    assert len(peer.requests) == renewed


async def test_a_token_that_does_not_say_when_it_ends_is_left_alone(peer: Peer, clock: Clock) -> None:
    connections = make_connections(clock=clock)
    await connections.add("service", PAGE, tokens(url=peer.url))
    clock.now += 1e9
    assert (await used(connections)).token == "access-one"
    assert peer.requests == []


async def test_the_renewed_credential_is_in_the_store_before_it_is_used(peer: Peer, clock: Clock) -> None:
    peer.replies[0] = granted("access-two", refresh_token="refresh-two")
    connections = make_connections(clock=clock)
    await connections.add("service", PAGE, tokens(url=peer.url, expires_at=NOW))
    assert (await used(connections)).token == "access-two"
    other = make_connections(clock=clock)
    same = await used(other)
    assert (same.token, secret(same, "refresh_token")) == ("access-two", "refresh-two")
    entry = await only(other)
    assert (entry.expires_at, entry.renewed_at, entry.renewable) == (NOW + 3600, NOW, True)
    assert len(peer.requests) == 1


async def test_an_answer_without_a_refresh_token_keeps_the_old_one(peer: Peer, clock: Clock) -> None:
    connections = make_connections(clock=clock)
    await connections.add("service", PAGE, tokens(url=peer.url, expires_at=NOW))
    assert secret(await used(connections), "refresh_token") == "refresh-one"
    clock.now += 3600
    await used(connections)
    assert [body.count(b"refresh_token=refresh-one") for _, _, body in peer.requests] == [1, 1]


async def test_what_was_stored_by_a_process_that_then_crashed_is_taken_up(peer: Peer, clock: Clock) -> None:
    connections = make_connections(clock=clock)
    entry = await connections.add("service", PAGE, tokens(url=peer.url, expires_at=NOW))
    await connections._kept.write(entry, tokens("access-crashed", url=peer.url, expires_at=NOW + 3600))
    assert (await used(connections)).token == "access-crashed"  # the one in memory has expired
    assert peer.requests == []
    assert (await only(make_connections(clock=clock))).expires_at == NOW + 3600


# -- after a 401 ---


async def test_a_refused_token_is_renewed_whenever_it_was_to_expire(peer: Peer, clock: Clock) -> None:
    connections = make_connections(clock=clock)
    await connections.add("service", PAGE, tokens(url=peer.url, expires_at=NOW + 3600))
    rejected = await used(connections)
    renewed = await connections.renew("service", rejected)
    assert renewed is not None
    assert renewed.token == "access-two"
    assert (await used(connections)).token == "access-two"


async def test_a_token_that_another_process_has_renewed_is_read_and_not_renewed_again(
    peer: Peer, clock: Clock
) -> None:
    first, second = make_connections(clock=clock), make_connections(clock=clock)
    await first.add("service", PAGE, tokens(url=peer.url, expires_at=NOW + 3600))
    rejected = await used(second)
    await first.renew("service", await used(first))
    renewed = await second.renew("service", rejected)
    assert renewed is not None
    assert renewed.token == "access-two"
    assert len(peer.requests) == 1


async def test_keys_and_what_comes_from_the_environment_are_never_renewed(peer: Peer) -> None:
    connections = make_connections(env={"SERVICE_KEY": "from-environment"})
    assert await connections.renew("service", await used(connections)) is None
    await connections.add("service", KEY, key("a"))
    assert await connections.renew("service", await used(connections)) is None
    await connections.add("service", PAGE, tokens(url=peer.url, refresh=None))
    assert await connections.renew("service", await used(connections)) is None
    assert peer.requests == []


# -- what goes wrong ---


@pytest.mark.parametrize("status", [429, 503, 500])
async def test_a_failure_that_will_pass_keeps_the_token_while_it_is_good(
    peer: Peer, clock: Clock, status: int
) -> None:
    peer.replies[:] = [Reply([b"<html>later</html>"], status=status), granted("access-two")]
    connections = make_connections(clock=clock)
    await connections.add("service", PAGE, tokens(url=peer.url, expires_at=NOW + 3600))
    clock.now += 3550
    assert [(await used(connections)).token for _ in range(3)] == ["access-one"] * 3
    assert len(peer.requests) == 1  # and the server is left in peace for a while
    clock.now += 50
    assert (await used(connections)).token == "access-two"
    assert (await only(connections)).needs_sign_in == ""


async def test_a_server_that_is_away_is_a_clear_error_once_the_token_has_expired(clock: Clock) -> None:
    connections = make_connections(clock=clock)
    await connections.add("service", PAGE, tokens(url="http://127.0.0.1:1", expires_at=NOW))
    with pytest.raises(ProviderError, match="service \\(default\\) could not be renewed") as failed:
        await connections.resolve("service")
    assert failed.value.kind is ErrorKind.CONNECTION
    assert "still signed in" in failed.value.hint
    assert (await only(connections)).needs_sign_in == ""


async def test_a_sign_in_that_the_server_ended_is_told_everywhere_until_the_user_signs_in(
    peer: Peer, clock: Clock
) -> None:
    peer.replies[0] = refused("invalid_grant")
    connections = make_connections(clock=clock, env={"SERVICE_KEY": "another account"})
    await connections.add("service", PAGE, tokens(url=peer.url, expires_at=NOW), label="work")
    other = make_connections(clock=clock)
    for process in (connections, other, connections):
        with pytest.raises(SignInNeededError, match="no longer signed in to service \\(work\\)") as needed:
            await process.resolve("service")
        assert needed.value.kind is ErrorKind.AUTH
        assert "jackfield auth login service" in needed.value.hint
        assert "no longer renews" in (await only(process)).needs_sign_in
    assert len(peer.requests) == 1
    await other.sign_in_again("service", "work", tokens("access-new", url=peer.url, expires_at=NOW + 3600))
    assert (await used(connections)).token == "access-new"
    assert (await only(connections)).needs_sign_in == ""


async def test_no_other_refusal_is_the_end_of_a_sign_in(peer: Peer, clock: Clock) -> None:
    peer.replies[:] = [refused("invalid_client", 401), granted("access-two")]
    connections = make_connections(clock=clock)
    await connections.add("service", PAGE, tokens(url=peer.url, expires_at=NOW))
    with pytest.raises(ProviderError, match="could not be renewed"):
        await connections.resolve("service")
    assert (await used(connections)).token == "access-two"


async def test_a_store_that_fails_after_the_server_answered_loses_nothing(
    peer: Peer, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[JackfieldError] = []
    connections = make_connections(clock=clock, complain=told.append)
    await connections.add("service", PAGE, tokens(url=peer.url, expires_at=NOW))
    write = connections._kept.write

    async def locked(*_: object) -> None:
        raise StoreError(StoreFault.LOCKED, "The keyring is locked")

    monkeypatch.setattr(connections._kept, "write", locked)
    assert (await used(connections)).token == "access-two"
    assert told[0].title == "The renewed sign-in to service (default) could not be stored"
    assert "access-two" not in str(told[0])
    assert (await used(connections)).token == "access-two"
    monkeypatch.setattr(connections._kept, "write", write)
    await connections.aclose()
    assert (await used(make_connections(clock=clock))).token == "access-two"
    assert len(peer.requests) == 1


async def test_signing_out_during_a_renewal_leaves_nothing_behind(peer: Peer, clock: Clock) -> None:
    gate = asyncio.Event()
    peer.replies[:] = [granted("access-two"), Reply([b""])]
    peer.replies[0].last_after = gate
    connections = make_connections(clock=clock)
    await connections.add("service", PAGE, tokens(url=peer.url, expires_at=NOW))
    renewing = asyncio.create_task(connections.resolve("service"))
    async with asyncio.timeout(10):
        while not peer.requests:  # noqa: ASYNC110 - the peer knows no event
            await asyncio.sleep(0.005)
    leaving = asyncio.create_task(make_connections(clock=clock).sign_out("service", "default"))
    await asyncio.wait({leaving}, timeout=0.3)
    assert not leaving.done()  # it waits for the renewal
    gate.set()
    await renewing
    assert (await leaving).revoked is True
    assert any(b"access-two" in body for _, _, body in peer.requests)  # the newest one was revoked
    assert await connections.resolve("service") is None


# -- once for everybody ---


async def test_fifty_tasks_renew_once(peer: Peer, clock: Clock) -> None:
    connections = make_connections(clock=clock)
    await connections.add("service", PAGE, tokens(url=peer.url, expires_at=NOW))
    got = await asyncio.gather(*(used(connections) for _ in range(50)))
    assert {credential.token for credential in got} == {"access-two"}
    assert len(peer.requests) == 1


async def test_fifty_tasks_whose_token_was_refused_renew_once(peer: Peer, clock: Clock) -> None:
    connections = make_connections(clock=clock)
    await connections.add("service", PAGE, tokens(url=peer.url, expires_at=NOW + 3600))
    rejected = await used(connections)
    got = await asyncio.gather(*(connections.renew("service", rejected) for _ in range(50)))
    assert {credential.token for credential in got if credential} == {"access-two"}
    assert len(peer.requests) == 1


async def test_a_task_that_is_cancelled_while_it_renews_cancels_nobody(peer: Peer, clock: Clock) -> None:
    gate = asyncio.Event()
    peer.replies[0].last_after = gate
    connections = make_connections(clock=clock)
    await connections.add("service", PAGE, tokens(url=peer.url, expires_at=NOW))
    first, second = (asyncio.create_task(used(connections)) for _ in range(2))
    async with asyncio.timeout(10):
        while not peer.requests:  # noqa: ASYNC110 - the peer knows no event
            await asyncio.sleep(0.005)
    first.cancel()
    gate.set()
    assert (await second).token == "access-two"
    assert len(peer.requests) == 1


async def test_a_process_that_is_killed_while_it_renews_holds_up_nobody(peer: Peer) -> None:
    peer.replies[:] = [Reply(stays_open=True), granted("access-two")]
    connections = make_connections()
    await connections.add("service", PAGE, tokens(url=peer.url, expires_at=time.time() - 1), label="work")
    racer = await _racer()
    await _start(racer)
    async with asyncio.timeout(20):
        while not peer.requests:  # noqa: ASYNC110 - the peer knows no event
            await asyncio.sleep(0.005)
    waiting = asyncio.create_task(used(connections))
    await asyncio.wait({waiting}, timeout=0.2)
    assert not waiting.done()  # the other process has the lock
    racer.kill()
    assert (await waiting).token == "access-two"
    await racer.wait()


async def _racer() -> asyncio.subprocess.Process:
    """Another process that has found the connection, and waits to be told to use it."""
    racer = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.registry.refresh_racer", cwd=ROOT,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert racer.stdout is not None
    async with asyncio.timeout(60):
        assert await racer.stdout.readline() == b"ready\n"
    return racer


async def _start(racer: asyncio.subprocess.Process) -> None:
    assert racer.stdin is not None
    racer.stdin.write(b"go\n")
    await racer.stdin.drain()


async def test_event_loops_in_several_threads_renew_once(peer: Peer, clock: Clock) -> None:
    connections = make_connections(clock=clock)
    await connections.add("service", PAGE, tokens(url=peer.url, expires_at=NOW))
    got: list[str] = []
    threads = [
        threading.Thread(target=lambda: got.append(asyncio.run(used(connections)).token)) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        await asyncio.to_thread(thread.join, 20)
    assert got == ["access-two"] * 4
    assert len(peer.requests) == 1


async def _signed_in(oidc: AuthServer) -> Credential:
    """A real sign-in whose access token the user's clock takes for expired."""
    with Browser(oidc) as browser:
        async with create_client(local=True) as client:
            credential = await sign_in(CodeSignIn(code_method(oidc), client), browser)
    return credential.model_copy(update={"expires_at": time.time() - 1})


async def test_a_real_server_that_rotates_renews_again_and_again(oidc: AuthServer) -> None:
    connections = make_connections()
    await connections.add("service", PAGE, await _signed_in(oidc))
    before = oidc.count("granted refresh_token")
    seen = [await used(connections)]
    for _ in range(2):
        renewed = await connections.renew("service", seen[-1])
        assert renewed is not None
        seen.append(renewed)
    assert len({secret(one, "refresh_token") for one in seen}) == 3
    assert await asyncio.to_thread(oidc.knows, (await used(make_connections())).token)
    assert oidc.count("granted refresh_token") - before == 3
    assert (await connections.sign_out("service", "default")).revoked is True
    assert not await asyncio.to_thread(oidc.knows, seen[-1].token)


async def test_six_processes_with_one_expired_token_renew_once_and_all_go_on(oidc: AuthServer) -> None:
    await make_connections().add("service", PAGE, await _signed_in(oidc), label="work")
    before = oidc.count("granted refresh_token")
    racers = await asyncio.gather(*(_racer() for _ in range(6)))
    async with asyncio.timeout(60):
        got = await asyncio.gather(*(racer.communicate(b"go\n") for racer in racers))
    assert [racer.returncode for racer in racers] == [0] * 6
    used_tokens = {out.decode().strip() for out, _ in got}
    assert len(used_tokens) == 1
    assert await asyncio.to_thread(oidc.knows, used_tokens.pop())
    assert oidc.count("granted refresh_token") - before == 1
    assert oidc.count("refused refresh_token invalid_grant") == 0

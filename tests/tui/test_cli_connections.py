"""`jackfield ask` and `jackfield models` with the accounts that are signed in."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from registry.paths import find_paths
from tests.providers.endpoints import ANSWER, listing, refusal
from tests.providers.peer import Peer, running_peer
from tests.registry.connection_fixtures import KEY, PASSPHRASE, key, make_cheap_file, make_connections
from tests.tui.cli_harness import Result, Shell, new_shell


@pytest.fixture
async def peer() -> AsyncIterator[Peer]:
    async with running_peer(ANSWER) as running:
        yield running


@pytest.fixture
async def groq(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, peer: Peer, monkeypatch: pytest.MonkeyPatch
) -> Shell:
    """A home where Groq is on, sent to the peer, with two accounts of which `work` is active."""
    shell = await asyncio.to_thread(new_shell, tmp_path / "home", tmp_path_factory)
    shell.config.parent.mkdir(parents=True, exist_ok=True)
    shell.config.write_text(
        f'[plugins.groq]\nenabled = true\n[plugins.groq.options]\nurl = "{peer.url}"\n', encoding="utf-8"
    )
    monkeypatch.setenv("JACKFIELD_HOME", str(shell.home))
    await make_cheap_file()
    connections = make_connections(paths=find_paths())
    for label in ("home", "work"):
        await connections.add("groq", KEY, key(f"key-of-{label}"), label=label)
    return replace(shell, env={"JACKFIELD_PASSPHRASE": PASSPHRASE, "NO_PROXY": "127.0.0.1"})


async def run(shell: Shell, *arguments: str) -> Result:
    return await asyncio.to_thread(shell.run, *arguments)


async def test_a_question_goes_out_with_the_active_account_or_the_named_one(groq: Shell, peer: Peer) -> None:
    assert (await run(groq, "ask", "Hello", "-m", "groq/m")).out == "Hi\n"
    assert (await run(groq, "ask", "Hello", "-m", "groq/m", "--connection", "HOME")).out == "Hi\n"
    sent = [headers["authorization"] for _, headers, _ in peer.requests]
    assert sent == ["Bearer key-of-work", "Bearer key-of-home"]


async def test_an_account_that_is_not_there_asks_nobody(groq: Shell, peer: Peer) -> None:
    result = await run(groq, "ask", "Hello", "-m", "groq/m", "-c", "wrok")
    assert (result.code, result.out) == (1, "")
    assert "There is no connection groq (wrok)" in result.err
    assert "home, work" in result.err
    assert peer.requests == []


async def test_a_refused_key_is_told_and_stays_secret(groq: Shell, peer: Peer) -> None:
    peer.replies[:] = [refusal(401, "bad key: key-of-work")]
    result = await run(groq, "ask", "Hello", "-m", "groq/m", "--json")
    (error,) = [json.loads(line) for line in result.out.splitlines()]
    assert (result.code, error["kind"]) == (1, "auth")
    assert len(peer.requests) == 1  # a key is never renewed
    assert "key-of-work" not in result.out + result.err


async def test_models_are_those_of_the_named_account(groq: Shell, peer: Peer) -> None:
    peer.replies[:] = [listing({"id": "only-at-home"})]
    result = await run(groq, "models", "-p", "groq", "-c", "home")
    assert "groq/only-at-home" in result.out
    assert peer.requests[0][1]["authorization"] == "Bearer key-of-home"
    assert (await run(groq, "models", "-c", "home")).code == 2


async def test_a_damaged_list_costs_a_message_and_no_answer(groq: Shell, peer: Peer) -> None:
    (groq.home / "data" / "connections.toml").write_text("[[")
    with_key = replace(groq, env={**groq.env, "GROQ_API_KEY": "of-environment"})
    result = await run(with_key, "ask", "Hello", "-m", "groq/m")
    assert (result.code, result.out) == (0, "Hi\n")
    assert "The list of connections was damaged" in result.err
    assert peer.requests[0][1]["authorization"] == "Bearer of-environment"

"""One thread calls the keyring: it cannot be piled up, be kept busy by who gave up, or stop the process."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator

import pytest

from registry.keyring_backend import Backend, store_error
from registry.keyring_worker import KeyringWorker
from registry.secret_contract import StoreError, StoreFault
from tests.keyring_session import wait_for
from tests.registry.keyrings_for_tests import MemoryKeyring

SHORT_S = 0.05
"""A limit that is meant to be reached."""
LONG_S = 20.0
"""A limit that is not."""


class StuckKeyring(MemoryKeyring):
    """A keyring that asks its user in a window: reading waits until they answer."""

    def __init__(self) -> None:
        super().__init__()
        self.answered = threading.Event()
        self.asked = threading.Event()

    def get(self, service: str, name: str) -> str | None:
        self.asked.set()
        assert self.answered.wait(LONG_S)
        return super().get(service, name)


@pytest.fixture
def keyring() -> Iterator[StuckKeyring]:
    stuck = StuckKeyring()
    yield stuck
    stuck.answered.set()


@pytest.fixture
def worker(keyring: StuckKeyring) -> KeyringWorker:
    return KeyringWorker(lambda: keyring)


def read(backend: Backend) -> str | None:
    return backend.get("service", "name")


def read_and_write(backend: Backend) -> None:
    backend.get("service", "name")
    backend.set("service", "name", "secret")


def write(backend: Backend) -> None:
    backend.set("service", "name", "secret")


async def fault_of(worker: KeyringWorker, limit_s: float) -> StoreFault:
    with pytest.raises(StoreError) as caught:
        await worker.call(read, limit_s=limit_s)
    return caught.value.fault


async def test_who_waits_behind_a_stuck_call_is_told_together_with_it(worker: KeyringWorker) -> None:
    faults = await asyncio.gather(fault_of(worker, SHORT_S), fault_of(worker, SHORT_S))
    assert set(faults) == {StoreFault.TIMED_OUT}
    assert await fault_of(worker, LONG_S) is StoreFault.TIMED_OUT, "not even a long limit is waited for"


def test_work_that_was_given_up_writes_nothing_when_the_keyring_answers_at_last(
    worker: KeyringWorker, keyring: StuckKeyring
) -> None:
    with pytest.raises(StoreError):
        asyncio.run(worker.call(read_and_write, limit_s=SHORT_S))
    keyring.answered.set()
    wait_for(lambda: not stuck(worker), "the worker")
    assert keyring.items == {}


def test_it_works_again_when_the_stuck_call_returned(worker: KeyringWorker, keyring: StuckKeyring) -> None:
    assert asyncio.run(fault_of(worker, SHORT_S)) is StoreFault.TIMED_OUT
    keyring.answered.set()
    wait_for(lambda: not stuck(worker), "the worker")
    asyncio.run(worker.call(write, limit_s=LONG_S))
    assert asyncio.run(worker.call(read, limit_s=LONG_S)) == "secret"


def stuck(worker: KeyringWorker) -> bool:
    try:
        asyncio.run(worker.call(lambda _: None, limit_s=LONG_S))
    except StoreError:
        return True
    return False


async def test_work_whose_caller_was_cancelled_is_finished(
    worker: KeyringWorker, keyring: StuckKeyring
) -> None:
    calling = asyncio.ensure_future(worker.call(read_and_write, limit_s=LONG_S))
    assert await asyncio.to_thread(keyring.asked.wait, LONG_S)
    calling.cancel()
    with pytest.raises(asyncio.CancelledError):
        await calling
    keyring.answered.set()
    assert await worker.call(read, limit_s=LONG_S) == "secret"


def test_a_loop_that_closed_does_not_harm_the_next(worker: KeyringWorker, keyring: StuckKeyring) -> None:
    async def begin() -> None:
        calling = asyncio.ensure_future(worker.call(read, limit_s=LONG_S))
        assert await asyncio.to_thread(keyring.asked.wait, LONG_S)
        calling.cancel()

    asyncio.run(begin())
    keyring.answered.set()
    asyncio.run(worker.call(write, limit_s=LONG_S))
    assert keyring.items == {("service", "name"): "secret"}


async def test_the_limit_is_for_each_call_and_not_for_all_the_work(
    worker: KeyringWorker, keyring: StuckKeyring
) -> None:
    keyring.answered.set()
    limit_s, pause = 5.0, threading.Event()

    def slow_calls(backend: Backend) -> int:
        for _ in range(5):
            backend.get("service", "name")
            pause.wait(1.2)
        return 5

    assert await worker.call(slow_calls, limit_s=limit_s) == 5


async def test_there_is_one_thread_and_it_is_a_daemon(worker: KeyringWorker, keyring: StuckKeyring) -> None:
    keyring.answered.set()
    seen = await asyncio.gather(*(worker.call(lambda _: threading.current_thread()) for _ in range(10)))
    assert len(set(seen)) == 1
    assert seen[0].daemon


class PromptDismissedException(Exception):  # noqa: N818 - the name that the library uses
    pass


class CredWriteError(Exception):
    """What the Windows backend raises is no error of the library."""


@pytest.mark.parametrize(
    ("raised", "fault"),
    [
        (PromptDismissedException("Prompt dismissed"), StoreFault.LOCKED),
        (CredWriteError(1783, "CredWrite", "The stub received bad data: sk-secret"), StoreFault.REFUSED),
        (UnicodeEncodeError("utf-8", "sk-secret", 0, 1, "surrogates"), StoreFault.REFUSED),
        (OSError(32, "Broken pipe", "sk-secret"), StoreFault.REFUSED),
        (KeyError("sk-secret"), StoreFault.REFUSED),
        (SystemExit("sk-secret"), StoreFault.REFUSED),
        (StopIteration("sk-secret"), StoreFault.REFUSED),
    ],
)
async def test_whatever_a_backend_raises_is_told_without_what_it_was_given(
    raised: BaseException, fault: StoreFault
) -> None:
    def fail(_: Backend) -> None:
        raise raised

    with pytest.raises(StoreError) as caught:
        await KeyringWorker(MemoryKeyring).call(fail)
    error = caught.value
    assert error.fault is fault
    assert type(raised).__name__ in error.detail
    assert "sk-secret" not in str(error)
    assert error.hint
    assert error.__context__ is None


def test_the_words_of_the_library_are_told() -> None:
    from keyring.errors import KeyringLocked, NoKeyringError, PasswordSetError

    refused = store_error(PasswordSetError("Cancelled \x1b[31m by user"))
    assert (refused.fault, refused.detail) == (StoreFault.REFUSED, "PasswordSetError: Cancelled  by user")
    assert store_error(KeyringLocked("denied")).fault is StoreFault.LOCKED
    assert store_error(NoKeyringError("none")).fault is StoreFault.NO_BACKEND


async def test_the_keyring_is_looked_for_again_after_a_failure_and_when_another_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found: list[MemoryKeyring] = []

    def find() -> Backend:
        found.append(MemoryKeyring())
        return found[-1]

    def fail(_: Backend) -> None:
        raise OSError

    worker = KeyringWorker(find)
    await worker.call(write)
    assert await worker.call(read) == "secret"
    assert len(found) == 1
    with pytest.raises(StoreError):
        await worker.call(fail)
    assert await worker.call(read) is None
    assert len(found) == 2
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "another")
    await worker.call(read)
    assert len(found) == 3

"""Secrets in a real keyring come back as they were, and whatever the keyring does is told in words."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from registry.keyring_store import KeyringReport, KeyringStore, check_keyring
from registry.secret_contract import StoreError, StoreFault
from tests.keyring_session import KeyringSession, wait_for

ROOT = Path(__file__).parents[2]
SERVICE, NAME = "jackfield:openai", "work"
LONG = "tök3n-🎉 " * 400
TOKEN = "".join(chr(33 + number % 90) for number in range(16_000))
SECRET_SERVICE = "keyring.backends.SecretService.Keyring"
GRANT_S = 0.3
"""A limit that a frozen keyring does not meet, and that no test waits long for."""


@pytest.fixture
def store(tmp_path: Path) -> KeyringStore:
    return KeyringStore(tmp_path / "keyring", limit_s=20)


async def fault_of(store: KeyringStore) -> StoreError:
    """What reading a secret raises."""
    with pytest.raises(StoreError) as caught:
        await store.get(SERVICE, NAME)
    return caught.value


def run_child(session: KeyringSession, script: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a script in a process of its own, with the names that these tests use."""
    return subprocess.run(
        [sys.executable, "-c", PREAMBLE + script],
        env=session.environment | variables,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


PREAMBLE = f"""
import asyncio, os, sys
from pathlib import Path
from registry.keyring_store import KeyringStore, check_keyring
from registry.secret_contract import StoreError
SERVICE, NAME = {SERVICE!r}, {NAME!r}
store = KeyringStore(Path(os.environ["HOME"]) / "jackfield" / "keyring", limit_s=20)
"""


@pytest.mark.parametrize(
    "secret",
    ["sk-0123456789", "", "línea\n\0\t\ufeff🎉\u202eabc", "\ud800 alone", LONG, TOKEN],
    ids=["key", "empty", "unicode", "surrogate", "long unicode", "16 kB"],
)
async def test_a_secret_comes_back_as_it_was_and_can_be_removed(
    keyring_session: KeyringSession, store: KeyringStore, secret: str
) -> None:
    assert await store.get(SERVICE, NAME) is None
    await store.set(SERVICE, NAME, secret)
    assert await store.get(SERVICE, NAME) == secret
    await store.delete(SERVICE, NAME)
    assert await store.get(SERVICE, NAME) is None
    assert keyring_session.items() == {}
    await store.delete(SERVICE, NAME)  # what is not there is removed already


async def test_services_and_names_of_any_text_are_kept_apart(
    keyring_session: KeyringSession, store: KeyringStore
) -> None:
    names = ["work", "Wörk 🎉", "a/b#c", "$(id)", "'\""]
    for name in names:
        await store.set(SERVICE, name, f"secret of {name}")
    await store.set("jackfield:gemini", "work", "another")
    assert [await store.get(SERVICE, name) for name in names] == [f"secret of {name}" for name in names]
    assert len(keyring_session.items()) == len(names) + 1


async def test_a_shorter_secret_leaves_nothing_of_the_longer_one(
    keyring_session: KeyringSession, store: KeyringStore
) -> None:
    await store.set(SERVICE, NAME, TOKEN)
    assert max(map(len, keyring_session.items().values())) == 1200
    await store.set(SERVICE, NAME, "short")
    assert keyring_session.items() == {(SERVICE, NAME): "short"}


def test_it_serves_several_event_loops_at_once_and_one_after_another(
    keyring_session: KeyringSession, store: KeyringStore
) -> None:
    def use(name: str) -> None:
        asyncio.run(store.set(SERVICE, name, name * 2))
        assert asyncio.run(store.get(SERVICE, name)) == name * 2

    before = set(threading.enumerate())
    threads = [threading.Thread(target=use, args=[str(number)]) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert keyring_session.items() == {(SERVICE, str(number)): str(number) * 2 for number in range(4)}
    assert len(set(threading.enumerate()) - before) <= 1, "one thread, if there was none yet"


async def test_it_never_stops_the_event_loop(keyring_session: KeyringSession, store: KeyringStore) -> None:
    writing = asyncio.ensure_future(store.set(SERVICE, NAME, TOKEN))
    turns = 0
    while not writing.done():
        await asyncio.sleep(0)
        turns += 1
    await writing
    assert turns > 100


def test_two_processes_that_write_one_secret_leave_one_of_the_two(
    keyring_session: KeyringSession,
) -> None:
    script = PREAMBLE + "for _ in range(4):\n    asyncio.run(store.set(SERVICE, NAME, sys.argv[1] * 3000))"
    writers = [
        subprocess.Popen([sys.executable, "-c", script, letter], env=keyring_session.environment, cwd=ROOT)
        for letter in "xy"
    ]
    assert [writer.wait(60) for writer in writers] == [0, 0]
    store = KeyringStore(keyring_session.home / "jackfield" / "keyring", limit_s=20)
    assert asyncio.run(store.get(SERVICE, NAME)) in {"x" * 3000, "y" * 3000}
    assert len(keyring_session.items()) == 1 + 3
    asyncio.run(store.delete(SERVICE, NAME))
    assert keyring_session.items() == {}


def test_a_process_that_ends_half_way_leaves_the_old_secret(keyring_session: KeyringSession) -> None:
    assert run_child(keyring_session, "asyncio.run(store.set(SERVICE, NAME, 'old' * 1000))").returncode == 0
    before = keyring_session.items()
    crash = """
from keyring.backends.SecretService import Keyring
write, written = Keyring.set_password, []
def crash(*arguments):
    written.append(write(*arguments))
    if len(written) == 3:
        os._exit(9)
Keyring.set_password = crash
asyncio.run(store.set(SERVICE, NAME, 'new' * 2000))
"""
    assert run_child(keyring_session, crash).returncode == 9
    assert len(keyring_session.items()) == len(before) + 3
    read = run_child(keyring_session, "print(asyncio.run(store.get(SERVICE, NAME)))")
    assert read.stdout.strip() == "old" * 1000
    assert run_child(keyring_session, "asyncio.run(store.set(SERVICE, NAME, 'next'))").returncode == 0
    assert keyring_session.items() == {(SERVICE, NAME): "next"}


async def test_a_locked_keyring_is_told_with_what_to_do(
    keyring_session: KeyringSession, store: KeyringStore
) -> None:
    await store.set(SERVICE, NAME, "kept")
    keyring_session.lock()
    error = await fault_of(store)
    assert (error.fault, error.title) == (StoreFault.LOCKED, "The keyring is locked")
    assert error.hint == "Unlock your login keyring and try again."
    for change in (store.set(SERVICE, NAME, "new"), store.delete(SERVICE, NAME)):
        with pytest.raises(StoreError) as caught:
            await change
        assert caught.value.fault is StoreFault.LOCKED
    keyring_session.unlock()
    assert await store.get(SERVICE, NAME) == "kept"


async def test_a_keyring_that_nobody_ever_unlocked_counts_as_locked(
    keyring_session: KeyringSession, store: KeyringStore
) -> None:
    keyring_session.kill_daemon()
    for keyring in (keyring_session.home / "data" / "keyrings").iterdir():
        keyring.unlink()
    error = await fault_of(store)
    assert error.fault is StoreFault.LOCKED
    assert "Unlock" in error.hint


async def test_a_keyring_that_crashed_is_locked_until_it_is_back(
    keyring_session: KeyringSession, store: KeyringStore
) -> None:
    await store.set(SERVICE, NAME, "kept")
    keyring_session.kill_daemon()
    assert (await fault_of(store)).fault is StoreFault.LOCKED
    keyring_session.unlock()
    assert await store.get(SERVICE, NAME) == "kept"


def test_a_frozen_keyring_costs_the_limit_once_and_no_further_thread(
    keyring_session: KeyringSession, store: KeyringStore, tmp_path: Path
) -> None:
    asyncio.run(store.set(SERVICE, NAME, "kept"))
    hasty = KeyringStore(tmp_path / "keyring", limit_s=GRANT_S)
    keyring_session.signal_daemon(signal.SIGSTOP)
    first = asyncio.run(fault_of(hasty))
    threads = threading.active_count()
    begun = time.monotonic()
    for _ in range(20):
        assert str(asyncio.run(fault_of(hasty))) == str(first)
    assert time.monotonic() - begun < 20 * GRANT_S
    assert threading.active_count() == threads
    assert first.fault is StoreFault.TIMED_OUT
    assert first.title == f"The keyring did not answer within {GRANT_S} s"
    assert "try again" in first.hint
    keyring_session.signal_daemon(signal.SIGCONT)
    wait_for(lambda: asyncio.run(answer_of(store)) == "kept", "the answer of the keyring")


async def answer_of(store: KeyringStore) -> str | None:
    try:
        return await store.get(SERVICE, NAME)
    except StoreError:
        return None


def test_a_process_ends_at_once_while_the_keyring_is_frozen(keyring_session: KeyringSession) -> None:
    script = f"""
import time
store = KeyringStore(Path(os.environ["HOME"]) / "keyring", limit_s={GRANT_S})
try:
    asyncio.run(store.get(SERVICE, NAME))
except StoreError as error:
    print(error.fault)
print(time.time())
"""
    keyring_session.signal_daemon(signal.SIGSTOP)
    done = run_child(keyring_session, script)
    ended = time.time()
    fault, told = done.stdout.splitlines()
    assert (done.returncode, fault, done.stderr) == (0, "timed out", "")
    assert ended - float(told) < 5


@pytest.mark.parametrize(
    ("variables", "cause"),
    [
        ({"DBUS_SESSION_BUS_ADDRESS": "unix:path=/nowhere/bus"}, "None answers here"),
        ({"PYTHON_KEYRING_BACKEND": "keyring.backends.null.Keyring"}, "keyring.backends.null.Keyring"),
        ({"PYTHON_KEYRING_BACKEND": "keyring.backends.fail.Keyring"}, "keyring.backends.fail.Keyring"),
        ({"PYTHON_KEYRING_BACKEND": "no.such.Backend"}, "PYTHON_KEYRING_BACKEND names no.such.Backend"),
        ({"PYTHON_KEYRING_BACKEND": "garbage \x1b[31m"}, "names garbage ,"),
        ({"PYTHON_KEYRING_BACKEND": ""}, "PYTHON_KEYRING_BACKEND"),
        ({"PYTHON_KEYRING_BACKEND": "keyring.backends.SecretService.Nothing"}, "cannot be used here"),
        ({"PYTHON_KEYRING_BACKEND": "keyring.backends.macOS.Keyring"}, "macOS required"),
    ],
)
async def test_without_a_keyring_of_the_system_there_is_none_and_the_user_is_told_what_else(
    keyring_session: KeyringSession,
    store: KeyringStore,
    monkeypatch: pytest.MonkeyPatch,
    variables: dict[str, str],
    cause: str,
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    error = await fault_of(store)
    assert error.fault is StoreFault.NO_BACKEND
    assert cause in error.detail
    assert 'store = "file"' in error.hint
    with pytest.raises(StoreError):
        await store.set(SERVICE, NAME, "secret")


@pytest.mark.parametrize("choice", [SECRET_SERVICE, "keyring.backends.chainer.ChainerBackend"])
async def test_a_choice_of_a_real_keyring_is_heeded(
    keyring_session: KeyringSession, monkeypatch: pytest.MonkeyPatch, choice: str
) -> None:
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", choice)
    assert await check_keyring() == KeyringReport(True, SECRET_SERVICE, "", "", True)


async def test_a_keyring_switched_off_in_the_library_s_own_file_is_not_used(
    keyring_session: KeyringSession, store: KeyringStore
) -> None:
    file = keyring_session.home / "config" / "python_keyring" / "keyringrc.cfg"
    file.parent.mkdir(parents=True)
    file.write_text("[backend]\ndefault-keyring=keyring.backends.null.Keyring\n")
    assert "keyringrc.cfg names keyring.backends.null.Keyring" in (await fault_of(store)).detail
    file.write_bytes(b"\xff no configuration")
    assert await store.get(SERVICE, NAME) is None


PLAIN_FILE_BACKEND = """
import os
from pathlib import Path
from keyring.backend import KeyringBackend
Path(os.environ["HOME"], "imported").touch()
class PlaintextKeyring(KeyringBackend):
    priority = 20
    def get_password(self, service, username):
        return None
    def set_password(self, service, username, password):
        Path(os.environ["HOME"], "passwords").write_text(password)
"""


@pytest.fixture
def foreign_backend(tmp_path: Path) -> Path:
    """A folder with a package that offers a backend of plain files, as `keyrings.alt` does."""
    module = tmp_path / "site" / "keyrings" / "alt" / "file.py"
    module.parent.mkdir(parents=True)
    module.write_text(PLAIN_FILE_BACKEND)
    info = tmp_path / "site" / "keyrings_alt-5.0.2.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: keyrings.alt\nVersion: 5.0.2\n")
    (info / "entry_points.txt").write_text("[keyring.backends]\nfile = keyrings.alt.file\n")
    return tmp_path / "site"


USE = """
try:
    asyncio.run(store.set(SERVICE, NAME, "secret"))
except StoreError as error:
    print(error.fault)
"""


def test_a_plain_file_of_another_package_is_never_used(
    keyring_session: KeyringSession, foreign_backend: Path
) -> None:
    library = run_child(
        keyring_session, "import keyring; print(keyring.get_keyring().name)", PYTHONPATH=str(foreign_backend)
    )
    assert library.stdout.strip() == "file PlaintextKeyring", "the library would use it"
    (keyring_session.home / "imported").unlink()

    assert run_child(keyring_session, USE, PYTHONPATH=str(foreign_backend)).stdout == ""
    assert keyring_session.items() == {(SERVICE, NAME): "secret"}
    chosen = "keyrings.alt.file.PlaintextKeyring"
    for variables in (
        {"PYTHON_KEYRING_BACKEND": chosen},
        {"DBUS_SESSION_BUS_ADDRESS": "unix:path=/nowhere/bus"},
    ):
        done = run_child(keyring_session, USE, PYTHONPATH=str(foreign_backend), **variables)
        assert done.stdout == "no backend\n", done.stderr
    assert not (keyring_session.home / "passwords").exists()
    assert not (keyring_session.home / "imported").exists(), "its code ran"


async def test_the_check_of_the_keyring_leaves_nothing_behind(keyring_session: KeyringSession) -> None:
    assert await check_keyring() == KeyringReport(True, SECRET_SERVICE, "", "", True)
    assert keyring_session.items() == {}


async def test_the_check_tells_what_is_wrong_and_what_to_do(keyring_session: KeyringSession) -> None:
    keyring_session.lock()
    report = await check_keyring()
    assert (report.usable, report.backend, report.round_trip) == (False, SECRET_SERVICE, False)
    assert report.problem.startswith("The keyring is locked")
    assert report.hint == "Unlock your login keyring and try again."


async def test_the_check_says_that_there_is_no_keyring() -> None:
    report = await check_keyring()
    assert (report.usable, report.backend) == (False, "")
    assert report.problem.startswith("There is no keyring of the system to use")
    assert report.hint


async def test_the_keyring_of_a_test_leaves_no_process_behind(keyring_session: KeyringSession) -> None:
    keyring_session.kill_daemon()
    await check_keyring()  # the bus starts another one
    assert len(keyring_session.processes()) >= 2
    keyring_session.stop()
    wait_for(lambda: not keyring_session.processes(), "the end of all processes")
    assert keyring_session.processes() == []

"""Secrets go where the user chose, and never silently anywhere else."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from registry import encrypted_file_store
from registry.paths import Paths
from registry.secret_store import SecretStores, SessionStore, StoreError, StoreFault, StoreKind
from tests.keyring_session import KeyringSession

SERVICE, NAME, SECRET = "jackfield:openai", "work", "sk-0123456789abcdef"
PASSPHRASE = "correct horse battery staple"


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    return Paths(tmp_path / "config", tmp_path / "data", tmp_path / "cache")


@pytest.fixture(autouse=True)
def quick_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """The cost of the key is tested with the file."""
    monkeypatch.setattr(encrypted_file_store.EncryptedFileStore.__init__, "__kwdefaults__", {"work": 2})


class Person:
    """Answers the question for the passphrase, and remembers whether it was for a new one."""

    def __init__(self, *answers: str | None) -> None:
        self.answers = list(answers)
        self.asked: list[bool] = []

    async def __call__(self, new: bool) -> str | None:
        self.asked.append(new)
        await asyncio.sleep(0)
        return self.answers.pop(0)


def stores(paths: Paths, ask: Person | None = None, **env: str) -> SecretStores:
    return SecretStores(paths, StoreKind.KEYRING, ask, env=env)


async def fault_of(made: SecretStores, kind: StoreKind) -> StoreFault:
    with pytest.raises(StoreError) as caught:
        await made.store(kind)
    assert caught.value.hint
    assert PASSPHRASE not in str(caught.value)
    return caught.value.fault


@pytest.mark.parametrize("kind", StoreKind)
async def test_a_store_is_of_its_kind_and_made_once(paths: Paths, kind: StoreKind) -> None:
    made = stores(paths, JACKFIELD_PASSPHRASE=PASSPHRASE)
    store = await made.store(kind)
    assert store.kind is kind
    assert await made.store(kind) is store


async def test_what_is_kept_for_this_session_is_forgotten_with_it() -> None:
    store = SessionStore()
    await store.set(SERVICE, NAME, SECRET)
    assert await store.get(SERVICE, NAME) == SECRET
    assert await SessionStore().get(SERVICE, NAME) is None
    assert SECRET not in repr(store)
    await store.delete(SERVICE, NAME)
    await store.delete(SERVICE, NAME)
    assert await store.get(SERVICE, NAME) is None


async def test_nothing_can_be_written_where_secrets_come_from_the_environment(paths: Paths) -> None:
    store = await stores(paths).store(StoreKind.ENVIRONMENT)
    with pytest.raises(StoreError) as caught:
        await store.set(SERVICE, NAME, SECRET)
    assert caught.value.fault is StoreFault.READ_ONLY
    assert SECRET not in str(caught.value)
    assert await store.get(SERVICE, NAME) is None
    await store.delete(SERVICE, NAME)


async def test_without_a_keyring_the_secret_is_refused_and_written_nowhere(paths: Paths) -> None:
    made = stores(paths, Person(PASSPHRASE))
    store = await made.store(StoreKind.KEYRING)
    with pytest.raises(StoreError) as caught:
        await store.set(SERVICE, NAME, SECRET)
    assert caught.value.fault is StoreFault.NO_BACKEND
    folder = paths.data.parent
    assert not [file for file in folder.rglob("*") if file.is_file() and SECRET in file.read_text()]
    assert made.chosen is StoreKind.KEYRING


async def test_the_keyring_holds_the_secret_and_no_file_of_ours_does(
    paths: Paths, keyring_session: KeyringSession
) -> None:
    store = await stores(paths).store(StoreKind.KEYRING)
    await store.set(SERVICE, NAME, SECRET)
    assert keyring_session.items() == {(SERVICE, NAME): SECRET}
    assert all(SECRET not in file.read_text() for file in paths.data.rglob("*"))


async def test_the_passphrase_is_asked_for_once_and_said_to_be_new(paths: Paths) -> None:
    person = Person(PASSPHRASE)
    made = stores(paths, person)
    first, second = await asyncio.gather(made.store(StoreKind.FILE), made.store(StoreKind.FILE))
    assert first is second
    assert person.asked == [True]
    await first.set(SERVICE, NAME, SECRET)

    later = Person(PASSPHRASE)
    again = await stores(paths, later).store(StoreKind.FILE)
    assert await again.get(SERVICE, NAME) == SECRET
    assert later.asked == [False]


async def test_after_a_wrong_passphrase_it_is_asked_again(paths: Paths) -> None:
    await (await stores(paths, Person(PASSPHRASE)).store(StoreKind.FILE)).set(SERVICE, NAME, SECRET)
    made = stores(paths, Person("wrong", None, "", PASSPHRASE))
    assert await fault_of(made, StoreKind.FILE) is StoreFault.WRONG_PASSPHRASE
    assert await fault_of(made, StoreKind.FILE) is StoreFault.NO_PASSPHRASE
    assert await fault_of(made, StoreKind.FILE) is StoreFault.NO_PASSPHRASE
    assert await (await made.store(StoreKind.FILE)).get(SERVICE, NAME) == SECRET


async def test_the_environment_s_passphrase_is_used_and_nobody_is_asked(paths: Paths) -> None:
    person = Person()
    store = await stores(paths, person, JACKFIELD_PASSPHRASE=PASSPHRASE).store(StoreKind.FILE)
    await store.set(SERVICE, NAME, SECRET)
    assert person.asked == []


async def test_a_wrong_passphrase_in_the_environment_is_told_with_the_variable(paths: Paths) -> None:
    await (await stores(paths, Person(PASSPHRASE)).store(StoreKind.FILE)).set(SERVICE, NAME, SECRET)
    with pytest.raises(StoreError, match="JACKFIELD_PASSPHRASE") as caught:
        await stores(paths, Person(), JACKFIELD_PASSPHRASE="wrong").store(StoreKind.FILE)
    assert caught.value.fault is StoreFault.WRONG_PASSPHRASE


async def test_without_anybody_to_ask_the_variable_is_named(paths: Paths) -> None:
    with pytest.raises(StoreError, match="JACKFIELD_PASSPHRASE") as caught:
        await stores(paths).store(StoreKind.FILE)
    assert caught.value.fault is StoreFault.NO_PASSPHRASE


async def test_a_damaged_file_is_told_before_anything_is_written(paths: Paths) -> None:
    paths.data.mkdir()
    file = SecretStores(paths, StoreKind.FILE).file
    file.write_bytes(b"damaged")
    assert await fault_of(stores(paths, Person(PASSPHRASE)), StoreKind.FILE) is StoreFault.DAMAGED
    assert file.read_bytes() == b"damaged"


def test_nothing_heavy_is_loaded_before_a_store_is_used() -> None:
    script = """
import sys
import registry.secret_store, registry.keyring_store, registry.encrypted_file_store
print({"keyring", "secretstorage", "cryptography", "filelock", "pydantic"} & set(sys.modules))"""
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stdout.strip() == "set()"

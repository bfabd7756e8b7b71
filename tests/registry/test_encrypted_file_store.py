"""Secrets in the encrypted file come back with its passphrase, and with no other."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from registry import atomic
from registry.atomic import locked
from registry.encrypted_file_store import WORK, EncryptedFileStore
from registry.secret_contract import StoreError, StoreFault

SERVICE, NAME, SECRET = "jackfield:openai", "personal", "sk-0123456789abcdef"
PASSPHRASE = "correct horse battery staple"
QUICK = 2
ROOT = Path(__file__).parents[2]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "data" / "secrets.encrypted"


def opened(file: Path, passphrase: str = PASSPHRASE) -> EncryptedFileStore:
    return EncryptedFileStore(file, passphrase, work=QUICK)


def fault_of(file: Path, passphrase: str = PASSPHRASE) -> StoreFault:
    """Why the file cannot be opened, which has to be the same for reading and for writing."""
    faults = []
    store = opened(file, passphrase)
    for attempt in (store.unlock(), store.get(SERVICE, NAME), store.set(SERVICE, NAME, "new")):
        with pytest.raises(StoreError) as caught:
            asyncio.run(attempt)
        faults.append(caught.value.fault)
        assert SECRET not in str(caught.value)
        assert passphrase not in str(caught.value)
        assert caught.value.hint
    assert len(set(faults)) == 1
    return faults[0]


@pytest.mark.parametrize("secret", [SECRET, "", "línea\n\0🎉\u202e", "\ud800", "x" * 100_000])
def test_a_secret_comes_back_in_another_process_s_store_and_can_be_removed(file: Path, secret: str) -> None:
    asyncio.run(opened(file).set(SERVICE, NAME, secret))
    store = opened(file)
    assert asyncio.run(store.get(SERVICE, NAME)) == secret
    assert asyncio.run(store.get(SERVICE, "other")) is None
    asyncio.run(store.set(SERVICE, NAME, "next"))
    asyncio.run(store.delete(SERVICE, NAME))
    asyncio.run(store.delete(SERVICE, NAME))
    assert asyncio.run(opened(file).get(SERVICE, NAME)) is None


def test_without_a_file_there_are_no_secrets_and_none_is_made_by_looking(file: Path) -> None:
    store = opened(file)
    asyncio.run(store.unlock())
    assert asyncio.run(store.get(SERVICE, NAME)) is None
    asyncio.run(store.delete(SERVICE, NAME))
    assert not file.exists()


def test_nothing_of_a_secret_or_its_name_can_be_read_in_the_file(file: Path) -> None:
    asyncio.run(opened(file).set(SERVICE, NAME, SECRET))
    content = file.read_bytes()
    for text in (SECRET, SERVICE, NAME, PASSPHRASE):
        assert text.encode() not in content
        assert base64.b64encode(text.encode()).rstrip(b"=") not in content


@pytest.mark.skipif(os.name != "posix", reason="permissions as POSIX has them")
def test_the_file_is_for_its_user_alone(file: Path) -> None:
    asyncio.run(opened(file).set(SERVICE, NAME, SECRET))
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700


def test_each_writing_seals_anew(file: Path) -> None:
    store = opened(file)
    asyncio.run(store.set(SERVICE, NAME, "first"))
    first = json.loads(file.read_bytes())
    asyncio.run(store.set(SERVICE, NAME, SECRET))
    second = json.loads(file.read_bytes())
    assert first["nonce"] != second["nonce"]
    assert first["salt"] == second["salt"], "the key need not be derived again"


def test_what_does_not_change_is_not_written(file: Path) -> None:
    store = opened(file)
    asyncio.run(store.set(SERVICE, NAME, SECRET))
    before = file.read_bytes()
    asyncio.run(store.set(SERVICE, NAME, SECRET))
    asyncio.run(store.delete(SERVICE, "other"))
    assert file.read_bytes() == before


def test_a_wrong_passphrase_is_told_and_changes_nothing(file: Path) -> None:
    asyncio.run(opened(file).set(SERVICE, NAME, SECRET))
    before = file.read_bytes()
    assert fault_of(file, "another passphrase") is StoreFault.WRONG_PASSPHRASE
    assert file.read_bytes() == before


def test_a_passphrase_is_the_same_however_the_keyboard_composes_it(file: Path) -> None:
    asyncio.run(opened(file, "caf\u00e9").set(SERVICE, NAME, SECRET))
    assert asyncio.run(opened(file, "cafe\u0301").get(SERVICE, NAME)) == SECRET


def test_the_cost_of_the_key_is_the_one_that_is_recommended(file: Path) -> None:
    store = EncryptedFileStore(file, PASSPHRASE)
    asyncio.run(store.set(SERVICE, NAME, SECRET))
    assert json.loads(file.read_bytes())["work"] == WORK == 2**17
    assert asyncio.run(opened(file).get(SERVICE, NAME)) == SECRET, "the file says what it cost"


def damage_byte(content: bytes) -> bytes:
    middle = content.index(b'"sealed"') + 20
    return content[:middle] + (b"A" if content[middle : middle + 1] != b"A" else b"B") + content[middle + 1 :]


@pytest.mark.parametrize(
    "damage",
    [
        damage_byte,
        lambda content: content[: len(content) // 2],
        lambda _: b"",
        lambda _: b"\xff\xfe not JSON",
        lambda _: b"[]",
        lambda _: b'{"format": "another"}',
        lambda _: b"[" * 100_000,
        lambda content: content + b"x" * 17_000_000,
    ],
    ids=["byte", "cut", "empty", "binary", "list", "format", "nested", "huge"],
)
def test_a_damaged_file_is_told_apart_from_a_wrong_passphrase_and_is_kept(file: Path, damage: Any) -> None:
    asyncio.run(opened(file).set(SERVICE, NAME, SECRET))
    file.write_bytes(damage(file.read_bytes()))
    before = file.read_bytes()
    assert fault_of(file) is StoreFault.DAMAGED
    assert file.read_bytes() == before


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("work", 2**19),
        ("work", 3),
        ("work", "2"),
        ("work", True),
        ("salt", 7),
        ("nonce", "%%%"),
        ("nonce", ""),
        ("sealed", base64.b64encode(bytes(40)).decode()),
        ("sealed", ""),
        ("version", 2),
        ("version", "x"),
    ],
)
def test_a_file_that_was_forged_with_care_is_refused(file: Path, field: str, value: object) -> None:
    from registry.encrypted_file_store import _digest

    asyncio.run(opened(file).set(SERVICE, NAME, SECRET))
    plain = json.loads(file.read_bytes())
    plain[field] = value
    del plain["digest"]
    file.write_text(json.dumps(plain | {"digest": _digest(plain)}))
    assert fault_of(file) is StoreFault.DAMAGED


@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=40) | st.recursive(st.none() | st.text(max_size=3), st.lists).map(json.dumps))
def test_any_content_gives_an_error_that_can_be_shown(file: Path, content: bytes | str) -> None:
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(StoreError):
        asyncio.run(opened(file).get(SERVICE, NAME))


def test_a_disk_that_is_full_costs_nothing_that_was_there(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = opened(file)
    asyncio.run(store.set(SERVICE, NAME, SECRET))

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(atomic, "_write_synced", fail)
    with pytest.raises(StoreError, match="No space left") as caught:
        asyncio.run(store.set(SERVICE, NAME, "new"))
    assert caught.value.fault is StoreFault.REFUSED
    assert asyncio.run(opened(file).get(SERVICE, NAME)) == SECRET


def test_a_folder_that_cannot_be_written_is_read_only(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(atomic, "_write_synced", fail)
    with pytest.raises(StoreError) as caught:
        asyncio.run(opened(file).set(SERVICE, NAME, SECRET))
    assert caught.value.fault is StoreFault.READ_ONLY


def test_a_folder_in_its_place_is_told(file: Path) -> None:
    file.mkdir(parents=True)
    assert fault_of(file) is StoreFault.REFUSED


def test_another_jackfield_that_writes_all_the_time_is_told(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("registry.encrypted_file_store.LOCK_TIMEOUT_S", 0.05)
    with locked(file, 5), pytest.raises(StoreError, match="Another Jackfield") as caught:
        asyncio.run(opened(file).set(SERVICE, NAME, SECRET))
    assert caught.value.fault is StoreFault.TIMED_OUT


async def test_two_stores_see_what_the_other_wrote(file: Path) -> None:
    one, other = opened(file), opened(file)
    await asyncio.gather(*(store.set(SERVICE, f"{store is one}", "kept") for store in (one, other)))
    assert [await one.get(SERVICE, "False"), await other.get(SERVICE, "True")] == ["kept", "kept"]


def test_a_file_that_was_made_anew_with_another_passphrase_is_not_opened_by_the_old_key(
    file: Path,
) -> None:
    store = opened(file)
    asyncio.run(store.set(SERVICE, NAME, SECRET))
    file.unlink()
    asyncio.run(opened(file, "another passphrase").set(SERVICE, NAME, "other"))
    with pytest.raises(StoreError) as caught:
        asyncio.run(store.get(SERVICE, NAME))
    assert caught.value.fault is StoreFault.WRONG_PASSPHRASE


def test_processes_that_write_at_once_lose_nothing(file: Path) -> None:
    script = f"""
import asyncio, sys
from pathlib import Path
from registry.encrypted_file_store import EncryptedFileStore
store = EncryptedFileStore(Path(sys.argv[1]), {PASSPHRASE!r}, work={QUICK})
for number in range(10):
    asyncio.run(store.set("service", f"{{sys.argv[2]}}-{{number}}", "secret"))
"""
    writers = [
        subprocess.Popen([sys.executable, "-c", script, str(file), name], cwd=ROOT) for name in ("one", "two")
    ]
    assert [writer.wait(60) for writer in writers] == [0, 0]
    store = opened(file)
    for name in (f"{writer}-{number}" for writer in ("one", "two") for number in range(10)):
        assert asyncio.run(store.get("service", name)) == "secret"


async def test_it_never_stops_the_event_loop(file: Path) -> None:
    writing = asyncio.ensure_future(EncryptedFileStore(file, PASSPHRASE).set(SERVICE, NAME, SECRET))
    turns = 0
    while not writing.done():
        await asyncio.sleep(0)
        turns += 1
    await writing
    assert turns > 100


def test_its_repr_and_its_errors_hold_no_passphrase(file: Path) -> None:
    assert PASSPHRASE not in repr(opened(file))

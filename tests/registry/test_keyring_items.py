"""A secret of any length is stored whole, and one that could not be written leaves the old one."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from registry.keyring_items import delete_secret, read_secret, write_secret
from registry.secret_contract import StoreError, StoreFault
from tests.registry.keyrings_for_tests import MemoryKeyring, StoppedError

WINDOWS_LIMIT = 2560
"""What one item takes there, in bytes of UTF-16: CRED_MAX_CREDENTIAL_BLOB_SIZE in wincred.h."""
SERVICE, NAME = "jackfield:openai", "work"
SHORT, LONG, LONGER = "sk-short", "long " * 500, "longer " * 900
texts = st.one_of(
    st.text(st.characters(exclude_categories=()), max_size=40),
    st.sampled_from(
        [SHORT, LONG, LONGER, "🎉" * 1000, "\0", "\ufeffmark", "jackfield-parts:1:a:1:" + "0" * 64]
    ),
)


@settings(max_examples=50)
@given(st.lists(texts, min_size=1, max_size=4), st.booleans())
def test_the_last_secret_written_is_read_and_deleting_leaves_nothing(
    secrets: list[str], at_once: bool
) -> None:
    keyring = MemoryKeyring(replaces_at_once=at_once)
    for secret in secrets:
        write_secret(keyring, SERVICE, NAME, secret)
        assert read_secret(keyring, SERVICE, NAME) == secret
    assert all(len(text.encode("utf-16-le")) <= WINDOWS_LIMIT for text in keyring.items.values())
    assert all(text.isprintable() and text for text in keyring.items.values())
    delete_secret(keyring, SERVICE, NAME)
    assert keyring.items == {}


def test_a_short_secret_is_one_item_that_other_programs_can_read() -> None:
    keyring = MemoryKeyring()
    write_secret(keyring, SERVICE, NAME, SHORT)
    assert keyring.items == {(SERVICE, NAME): SHORT}


def test_a_shorter_secret_leaves_no_part_of_the_longer_one() -> None:
    keyring = MemoryKeyring()
    for secret in (LONGER, LONG, LONGER, LONG):
        write_secret(keyring, SERVICE, NAME, secret)
    again = MemoryKeyring()
    write_secret(again, SERVICE, NAME, LONG)
    assert len(keyring.items) == len(again.items)
    write_secret(keyring, SERVICE, NAME, SHORT)
    assert keyring.items == {(SERVICE, NAME): SHORT}


def test_names_of_one_service_do_not_touch_each_other() -> None:
    keyring = MemoryKeyring()
    names = ["a", "a/b", "b", "a#a0"]
    for name in names:
        write_secret(keyring, SERVICE, name, LONG + name)
    delete_secret(keyring, SERVICE, "a")
    assert [read_secret(keyring, SERVICE, name) for name in names[1:]] == [LONG + name for name in names[1:]]


@pytest.mark.parametrize("at_once", [True, False])
@pytest.mark.parametrize("old", [None, SHORT, LONG, LONGER])
@pytest.mark.parametrize("new", [SHORT + "2", LONG + "2", LONGER + "2"])
def test_stopping_anywhere_in_a_write_leaves_the_old_secret_or_the_new_one(
    old: str | None, new: str, at_once: bool
) -> None:
    stopped_at = 0
    while True:
        keyring = MemoryKeyring(replaces_at_once=at_once)
        if old is not None:
            write_secret(keyring, SERVICE, NAME, old)
        keyring.stop_at = keyring.changes + stopped_at
        try:
            write_secret(keyring, SERVICE, NAME, new)
        except StoppedError:
            stopped_at += 1
        else:
            break
        assert_repaired(keyring, {old, new})
    assert stopped_at > 0


@pytest.mark.parametrize("at_once", [True, False])
@pytest.mark.parametrize("old", [SHORT, LONG, LONGER])
def test_stopping_twice_in_writes_leaves_one_of_the_three(old: str, at_once: bool) -> None:
    """The second write begins with whatever the first one left."""
    for first in range(12):
        for second in range(12):
            keyring = MemoryKeyring(replaces_at_once=at_once)
            write_secret(keyring, SERVICE, NAME, old)
            for stop, secret in ((first, LONG + "1"), (second, LONGER + "2")):
                keyring.stop_at = keyring.changes + stop
                try:
                    write_secret(keyring, SERVICE, NAME, secret)
                except StoppedError:
                    continue
            assert_repaired(keyring, {old, LONG + "1", LONGER + "2"})


def assert_repaired(keyring: MemoryKeyring, allowed: set[str | None]) -> None:
    """One of the allowed secrets is there, and what the crash left goes with the next change."""
    assert read_secret(keyring, SERVICE, NAME) in allowed
    keyring.stop_at = None
    items = dict(keyring.items)
    delete_secret(keyring, SERVICE, NAME)
    assert keyring.items == {}
    keyring.items = items
    write_secret(keyring, SERVICE, NAME, SHORT)
    assert keyring.items == {(SERVICE, NAME): SHORT}


@pytest.mark.parametrize("at_once", [True, False])
def test_stopping_anywhere_in_a_deletion_leaves_the_secret_or_none(at_once: bool) -> None:
    for stop in range(20):
        keyring = MemoryKeyring(replaces_at_once=at_once)
        write_secret(keyring, SERVICE, NAME, LONGER)
        keyring.stop_at = keyring.changes + stop
        try:
            delete_secret(keyring, SERVICE, NAME)
        except StoppedError:
            assert_repaired(keyring, {LONGER, None})
        else:
            assert keyring.items == {}


@pytest.mark.parametrize("change", ["missing", "changed", "swapped"])
def test_a_secret_whose_parts_were_changed_is_damaged(change: str) -> None:
    keyring = MemoryKeyring()
    write_secret(keyring, SERVICE, NAME, LONG)
    first, second = [key for key in keyring.items if key != (SERVICE, NAME)][:2]
    match change:
        case "missing":
            del keyring.items[second]
        case "changed":
            keyring.items[second] = "x" + keyring.items[second][1:]
        case _:
            keyring.items[first], keyring.items[second] = keyring.items[second], keyring.items[first]
    with pytest.raises(StoreError) as caught:
        read_secret(keyring, SERVICE, NAME)
    assert caught.value.fault is StoreFault.DAMAGED
    assert "long" not in str(caught.value)


def test_a_damaged_secret_can_be_replaced_and_deleted() -> None:
    keyring = MemoryKeyring()
    for head in ("jackfield-parts:", "jackfield-parts:2:a:1:00", f"jackfield-parts:1:a:9999:{'0' * 64}"):
        keyring.items[SERVICE, NAME] = head
        with pytest.raises(StoreError):
            read_secret(keyring, SERVICE, NAME)
        write_secret(keyring, SERVICE, NAME, LONG)
        assert read_secret(keyring, SERVICE, NAME) == LONG
    delete_secret(keyring, SERVICE, NAME)
    assert keyring.items == {}


def test_a_secret_beyond_all_measure_is_refused_and_the_old_one_stays() -> None:
    keyring = MemoryKeyring()
    write_secret(keyring, SERVICE, NAME, SHORT)
    with pytest.raises(StoreError, match="too long") as caught:
        write_secret(keyring, SERVICE, NAME, "x" * 3_000_000)
    assert caught.value.fault is StoreFault.REFUSED
    assert keyring.items == {(SERVICE, NAME): SHORT}

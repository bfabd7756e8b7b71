"""The accounts that are signed in, and what a provider signs in with."""

from __future__ import annotations

import asyncio
import json
import os
import stat
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from jackfield import Credential, ErrorKind, NoAuth, PluginError, ProviderError
from registry.connection_file import ConnectionFile
from registry.connections import Connection, Connections, SignInNeededError
from registry.encrypted_file_store import EncryptedFileStore
from registry.errors import JackfieldError
from registry.paths import find_paths
from registry.secret_store import SecretStores, StoreError, StoreFault, StoreKind
from tests.keyring_session import KeyringSession
from tests.providers.peer import Reply, running_peer
from tests.registry.connection_fixtures import (
    KEY,
    PAGE,
    PASSPHRASE,
    ServicePlugin,
    key,
    make_cheap_file,
    make_connections,
    make_registry,
    tokens,
)

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
async def _cheap_file(app_home: None) -> None:
    await make_cheap_file()


def the_list() -> Path:
    return find_paths().data / "connections.toml"


def stored() -> dict[str, Any]:
    """All secrets of the encrypted file, by service and name."""
    kept = EncryptedFileStore(find_paths().data / "secrets.encrypted", PASSPHRASE)._read()
    return {service: names for service, names in kept.items() if service != "tests"}


async def used(connections: Connections, label: str | None = None) -> str:
    """The token that the provider would get; empty when it gets nothing."""
    credential = await connections.resolve("service", connection=label)
    return "" if credential is None else credential.token


# -- the order of resolution ---


async def test_the_named_connection_comes_first_then_the_active_one_then_the_environment() -> None:
    connections = make_connections(env={"SERVICE_KEY": "from-environment"})
    assert await used(connections) == "from-environment"
    await connections.add("service", KEY, key("of-work"), label="work")
    assert await used(connections) == "of-work"
    await connections.add("service", KEY, key("of-home"), label="home")
    assert await used(connections) == "of-home"
    assert await used(connections, "work") == "of-work"
    assert await used(connections, "WORK") == "of-work"


async def test_a_named_connection_that_is_not_there_is_never_replaced_by_another() -> None:
    connections = make_connections(env={"SERVICE_KEY": "from-environment"})
    await connections.add("service", KEY, key("of-work"), label="work")
    with pytest.raises(JackfieldError) as refused:
        await connections.resolve("service", connection="wrok\x1b[31m")
    assert refused.value.title == "There is no connection service (wrok)"
    assert "work" in refused.value.detail


async def test_the_first_variable_that_is_set_is_the_key() -> None:
    both = make_connections(env={"SERVICE_KEY": "first", "OLD_SERVICE_KEY": "second"})
    assert (await used(both), both.environment_key("service")) == ("first", "SERVICE_KEY")
    blank = make_connections(env={"SERVICE_KEY": " ", "OLD_SERVICE_KEY": "b\n"})
    assert (await used(blank), blank.environment_key("service")) == ("b", "OLD_SERVICE_KEY")


async def test_without_a_connection_and_a_variable_there_is_no_credential() -> None:
    connections = make_connections()
    assert await connections.resolve("service") is None
    assert connections.environment_key("service") is None


async def test_a_provider_never_gets_the_credential_of_another_plugin() -> None:
    connections = make_connections(env={"ANOTHER_KEY": "x"})
    await connections.add("another", KEY, key("of-another"))
    assert await connections.resolve("service") is None
    assert await connections.resolve("unknown") is None


async def test_a_credential_says_which_connection_it_is_of_and_hides_its_key() -> None:
    connections = make_connections(env={"SERVICE_KEY": "sesame"})
    from_environment = await connections.resolve("service")
    await connections.add("service", KEY, key("of-work"), label="work")
    of_work = await connections.resolve("service")
    assert from_environment is not None
    assert of_work is not None
    assert (from_environment.connection, of_work.connection) == ("", "work")
    assert "sesame" not in f"{from_environment!r} {from_environment}"


# -- adding, renaming, choosing ---


async def test_what_one_process_adds_every_other_has_at_once() -> None:
    first, second = make_connections(), make_connections()
    assert await used(second) == ""
    await first.add("service", KEY, key("of-work"), label="work")
    assert await used(second) == "of-work"
    await second.sign_in_again("service", "work", key("newer"))
    assert await used(first) == "newer"
    await second.sign_out("service", "work")
    assert await used(first) == ""


async def test_the_list_of_connections_holds_no_secret_and_belongs_to_the_user_alone() -> None:
    connections = make_connections()
    await connections.add("service", PAGE, tokens("access-secret", refresh="refresh-secret", expires_at=9e9))
    text = the_list().read_text()
    assert "secret" not in text.replace("No secret is in here", "")
    assert stat.S_IMODE(the_list().stat().st_mode) == 0o600
    (entry,) = tomllib.loads(text)["connection"]
    assert (entry["type"], entry["store"], entry["expires_at"]) == ("oauth_code", "file", 9e9)


async def test_expiry_is_known_without_a_look_at_the_secret() -> None:
    connections = make_connections(clock=lambda: 1000.0)
    await connections.add("service", PAGE, tokens(expires_at=5000.0), label="renews")
    await connections.add("service", PAGE, tokens(expires_at=5000.0, refresh=None), label="ends")
    later = make_connections(StoreKind.ENVIRONMENT, clock=lambda: 6000.0)
    renews, ends = await later.all("service")
    assert (renews.expires_at, renews.renewable, renews.needs_sign_in) == (5000.0, True, "")
    assert (ends.expires_at, ends.renewable) == (5000.0, False)
    assert "expired" in ends.needs_sign_in


async def test_labels_are_unique_within_a_plugin_whatever_their_case() -> None:
    connections = make_connections()
    labels = [(await connections.add("service", KEY, key(name), label="Work")).label for name in "abc"]
    labels.append((await connections.add("service", KEY, key("d"), label="work")).label)
    labels.append((await connections.add("service", KEY, key("e"))).label)
    assert labels == ["Work", "Work-2", "Work-3", "work-4", "default"]
    assert (await connections.add("another", KEY, key("f"), label="Work")).label == "Work"


async def test_a_long_label_keeps_room_for_its_number() -> None:
    connections = make_connections()
    first = await connections.add("service", KEY, key("a"), label="x" * 60)
    second = await connections.add("service", KEY, key("b"), label="x" * 60)
    assert (first.label, second.label) == ("x" * 60, "x" * 58 + "-2")
    assert await used(connections, first.label) == "a"


@pytest.mark.parametrize("label", ["\u202e", "\x1b[31m", " \n ", "x" * 61])
async def test_a_label_that_cannot_be_shown_is_refused(label: str) -> None:
    connections = make_connections()
    with pytest.raises(JackfieldError, match="label cannot be used"):
        await connections.add("service", KEY, key("a"), label=label)
    assert (await connections.all(), stored()) == ((), {})


async def test_a_label_is_one_line_of_safe_text() -> None:
    connections = make_connections()
    added = await connections.add("service", KEY, key("a"), label=" my\x1b[2J\nwork\u202e ")
    assert added.label == "my work"


@pytest.mark.parametrize("plugin", ["../evil", "", "Two Words", "a" * 65])
async def test_a_plugin_name_that_is_none_is_refused(plugin: str) -> None:
    with pytest.raises(JackfieldError, match="There is no plugin named"):
        await make_connections().add(plugin, KEY, key("a"))


async def test_a_new_connection_is_active_and_another_can_be_chosen() -> None:
    connections = make_connections()
    for label in ("one", "two", "three"):
        await connections.add("service", KEY, key(label), label=label)
    await connections.add("another", KEY, key("other"))
    assert [entry.label for entry in await connections.all() if entry.active] == ["three", "default"]
    assert (await connections.use("service", "one")).active
    assert await used(make_connections()) == "one"
    with pytest.raises(JackfieldError, match="There is no connection service \\(four\\)"):
        await connections.use("service", "four")


async def test_renaming_moves_the_secret() -> None:
    connections = make_connections()
    before = await connections.add("service", KEY, key("a"), label="old")
    renamed = await connections.rename("service", "old", "new")
    assert (renamed.label, renamed.created_at, renamed.active) == ("new", before.created_at, True)
    assert list(stored()["jackfield:service"]) == ["new"]
    assert await used(make_connections(), "new") == "a"
    with pytest.raises(JackfieldError, match="There is no connection"):
        await connections.rename("service", "old", "newer")


async def test_renaming_to_another_case_keeps_the_secret() -> None:
    connections = make_connections()
    await connections.add("service", KEY, key("a"), label="work")
    assert (await connections.rename("service", "work", "Work")).label == "Work"
    assert list(stored()["jackfield:service"]) == ["Work"]
    assert await used(make_connections()) == "a"


async def test_a_label_that_is_taken_is_not_given_again() -> None:
    connections = make_connections()
    await connections.add("service", KEY, key("a"), label="one")
    await connections.add("service", KEY, key("b"), label="two")
    with pytest.raises(JackfieldError, match="There already is a connection service \\(two\\)"):
        await connections.rename("service", "one", "TWO")
    assert [await used(connections, label) for label in ("one", "two")] == ["a", "b"]


@pytest.mark.skipif(os.name != "posix", reason="only POSIX has folders that cannot be written to")
async def test_nothing_is_kept_of_what_could_not_be_written_down(monkeypatch: pytest.MonkeyPatch) -> None:
    connections = make_connections()
    await connections.add("service", KEY, key("a"), label="one")

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(ConnectionFile, "_write_now", full)
    with pytest.raises(JackfieldError, match="cannot be used") as failed:
        await connections.add("service", KEY, key("b"), label="two")
    assert "no space left" in failed.value.detail
    with pytest.raises(JackfieldError, match="cannot be used"):
        await connections.rename("service", "one", "three")
    assert list(stored()["jackfield:service"]) == ["one"]
    assert await used(make_connections()) == "a"


async def test_a_store_that_takes_nothing_keeps_no_connection() -> None:
    connections = make_connections(StoreKind.ENVIRONMENT)
    with pytest.raises(StoreError, match="environment variables only"):
        await connections.add("service", KEY, key("a"))
    assert await connections.all() == ()
    assert not the_list().exists()


async def test_cancelling_who_waits_does_not_cancel_the_change() -> None:
    connections = make_connections()
    adding = asyncio.create_task(connections.add("service", KEY, key("a"), label="work"))
    await asyncio.sleep(0)
    adding.cancel()
    with pytest.raises(asyncio.CancelledError):
        await adding
    await connections.aclose()
    assert await used(make_connections(), "work") == "a"


async def test_signing_in_again_moves_to_the_chosen_store_and_notes_the_method() -> None:
    connections = make_connections()
    await connections.add("service", PAGE, tokens("old"), label="work")
    await connections.add("service", KEY, key("other"), label="other")
    session = make_connections(stores=_both_stores())
    moved = await session.sign_in_again("service", "work", key("new"), method=KEY)
    assert (moved.type, moved.store, moved.active) == ("api_key", StoreKind.SESSION, False)
    assert await used(session, "work") == "new"
    assert list(stored()["jackfield:service"]) == ["other"]
    assert [entry.label for entry in await connections.all()] == ["other"]
    await session.aclose()


async def test_a_store_that_does_not_let_go_keeps_its_connection_and_no_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    connections = make_connections()
    for label in ("one", "two", "three"):
        await connections.add("service", KEY, key(label), label=label)
    delete = connections._kept.delete

    async def stubborn(entry: Connection) -> None:
        if entry.label == "two":
            raise StoreError(StoreFault.LOCKED, "The keyring is locked")
        await delete(entry)

    monkeypatch.setattr(connections._kept, "delete", stubborn)
    with pytest.raises(StoreError, match="locked"):
        await connections.forget_plugin("service")
    assert [entry.label for entry in await connections.all()] == ["two"]
    assert await used(connections) == "two"


# -- this session only ---


async def test_a_connection_of_this_session_leaves_no_trace() -> None:
    lasting = make_connections()
    await lasting.add("service", KEY, key("lasting"), label="lasting")
    before = the_list().read_bytes()
    session = make_connections(stores=_both_stores())
    await session.add("service", KEY, key("passing"), label="passing")
    assert await used(session) == "passing"
    assert [entry.active for entry in await session.all()] == [False, True]
    assert the_list().read_bytes() == before
    assert await used(lasting) == "lasting"
    assert (await session.use("service", "lasting")).label == "lasting"
    assert await used(session) == "lasting"
    await session.sign_out("service", "passing")
    assert [entry.label for entry in await session.all()] == ["lasting"]


def _both_stores() -> SecretStores:
    """As of a user who chose to keep nothing from now on."""
    return SecretStores(find_paths(), StoreKind.SESSION, env={"JACKFIELD_PASSPHRASE": PASSPHRASE})


# -- signing out ---


async def test_signing_out_revokes_the_tokens_and_deletes_the_secret() -> None:
    async with running_peer(Reply([b""])) as peer:
        connections = make_connections()
        await connections.add("service", PAGE, tokens(url=peer.url), label="work")
        gone = await connections.sign_out("service", "work")
        sent = [body.decode() for _, _, body in peer.requests]
    assert (gone.revoked, gone.problem) == (True, "")
    assert any("refresh-one" in body for body in sent)
    assert (await connections.all(), stored()) == ((), {})


@pytest.mark.parametrize("answer", ["none", "503"])
async def test_a_server_that_does_not_revoke_keeps_no_secret_here(answer: str) -> None:
    async with running_peer(Reply([b"<html>"], status=503)) as peer:
        url = peer.url if answer == "503" else "http://127.0.0.1:1"
        connections = make_connections()
        await connections.add("service", PAGE, tokens(url=url), label="work")
        gone = await connections.sign_out("service", "work")
    assert gone.revoked is False
    assert gone.problem
    assert "\n" not in gone.problem
    assert (await connections.all(), stored()) == ((), {})


async def test_where_there_is_no_endpoint_nothing_is_revoked() -> None:
    connections = make_connections()
    await connections.add("service", PAGE, tokens(revocation=False), label="tokens")
    await connections.add("service", KEY, key("a"), label="key")
    await connections.add("service", NoAuth(name="none"), Credential(), label="none")
    results = [await connections.sign_out("service", label) for label in ("tokens", "key", "none")]
    assert [gone.revoked for gone in results] == [None, None, None]
    assert stored() == {}


async def test_after_the_active_connection_the_latest_of_the_others_is_used_and_that_is_told() -> None:
    connections = make_connections(env={"SERVICE_KEY": "from-environment"})
    for label in ("one", "two", "three"):
        await connections.add("service", KEY, key(label), label=label)
    assert (await connections.sign_out("service", "one")).now_active == ""
    assert (await connections.sign_out("service", "three")).now_active == "two"
    assert await used(connections) == "two"
    assert (await connections.sign_out("service", "two")).now_active == ""
    assert await used(connections) == "from-environment"


async def test_a_secret_that_is_gone_asks_for_a_new_sign_in_and_can_be_signed_out() -> None:
    connections = make_connections()
    await connections.add("service", KEY, key("a"), label="work")
    (find_paths().data / "secrets.encrypted").unlink()
    other = make_connections()
    with pytest.raises(SignInNeededError, match="no longer signed in to service \\(work\\)") as needed:
        await other.resolve("service")
    assert "jackfield auth login service" in needed.value.hint
    assert (await other.sign_out("service", "work")).revoked is False
    assert await other.all() == ()


async def test_a_store_that_cannot_be_opened_is_told_before_the_server_is() -> None:
    async with running_peer(Reply([b""])) as peer:
        await make_connections().add("service", PAGE, tokens(url=peer.url), label="work")
        locked = make_connections(stores=SecretStores(find_paths(), StoreKind.FILE, env={}))
        with pytest.raises(StoreError, match="encrypted file is locked"):
            await locked.sign_out("service", "work")
        assert peer.requests == []
    assert await used(make_connections(), "work") == "access-one"


async def test_uninstalling_a_plugin_removes_its_secrets_and_no_others() -> None:
    connections = make_connections()
    for label in ("one", "two"):
        await connections.add("service", KEY, key(label), label=label)
    await connections.add("another", KEY, key("other"))
    assert len(await connections.forget_plugin("service")) == 2
    assert list(stored()) == ["jackfield:another"]
    assert [entry.plugin for entry in await connections.all()] == ["another"]


# -- the file ---


async def test_a_damaged_list_is_set_aside_and_told_once() -> None:
    the_list().parent.mkdir(parents=True, exist_ok=True)
    the_list().write_bytes(b"[[connection]\nplugin = ")
    told: list[JackfieldError] = []
    connections = make_connections(complain=told.append, env={"SERVICE_KEY": "x"})
    assert await used(connections) == "x"
    assert await used(connections) == "x"
    (problem,) = told
    (kept,) = the_list().parent.glob("connections.toml.damaged-*")
    assert problem.title == "The list of connections was damaged"
    assert kept.name in problem.detail
    assert kept.read_bytes() == b"[[connection]\nplugin = "
    await connections.add("service", KEY, key("a"))
    assert await used(make_connections()) == "a"


@pytest.mark.parametrize(
    "change",
    [
        ("active", "true", '"yes"'),
        ("plugin", '"service"', '"../evil"'),
        ("label", '"two"', '"a\\u001b[31m"'),
        ("store", '"file"', '"cloud"'),
        ("created_at", "created_at", "created_at = inf\nx"),
    ],
)
async def test_one_wrong_entry_costs_no_other_one(change: tuple[str, str, str]) -> None:
    _, old, new = change
    connections = make_connections()
    await connections.add("service", KEY, key("a"), label="one")
    await connections.add("service", KEY, key("b"), label="two")
    whole = the_list().read_text()
    head, entry = whole.rsplit("[[connection]]", 1)
    the_list().write_text(f"{head}[[connection]]{entry.replace(old, new, 1)}")
    told: list[JackfieldError] = []
    again = make_connections(complain=told.append)
    assert [entry.label for entry in await again.all()] == ["one"]
    assert "Connection 2 is wrong" in told[0].detail
    assert await used(again, "one") == "a"
    assert len(list(the_list().parent.glob("connections.toml.damaged-*"))) == 1


async def test_the_list_of_a_newer_version_is_left_alone() -> None:
    the_list().parent.mkdir(parents=True, exist_ok=True)
    the_list().write_text("version = 2\n")
    told: list[JackfieldError] = []
    connections = make_connections(complain=told.append)
    assert await connections.all() == ()
    with pytest.raises(JackfieldError, match="cannot be used") as refused:
        await connections.add("service", KEY, key("a"))
    assert "newer Jackfield" in refused.value.detail
    assert the_list().read_text() == "version = 2\n"
    assert (len(told), stored()) == (1, {})


_ADDER = """
import asyncio, sys
from tests.registry.connection_fixtures import KEY, key, make_connections

async def main():
    connections = make_connections()
    for number in range(4):
        await connections.add("service", KEY, key(f"{sys.argv[1]}-{number}"), label="same")
    await connections.aclose()

asyncio.run(main())
"""


async def test_processes_that_write_at_once_lose_nothing() -> None:
    adders = [
        await asyncio.create_subprocess_exec(sys.executable, "-c", _ADDER, str(number), cwd=ROOT)
        for number in range(3)
    ]
    assert [await adder.wait() for adder in adders] == [0, 0, 0]
    connections = make_connections()
    everyone = await connections.all("service")
    assert len({entry.label for entry in everyone}) == 12
    assert sum(entry.active for entry in everyone) == 1
    held = {await used(connections, entry.label) for entry in everyone}
    assert held == {f"{process}-{number}" for process in range(3) for number in range(4)}


# -- a real keyring ---


async def test_a_connection_lives_in_the_keyring(keyring_session: KeyringSession) -> None:
    connections = make_connections(StoreKind.KEYRING)
    await connections.add("service", PAGE, tokens("access-ü" * 700, expires_at=9e9), label="Büro")
    assert all(service.startswith("jackfield:service") for service, _ in keyring_session.items())
    await make_connections(StoreKind.KEYRING).rename("service", "büro", "home")
    other = make_connections(StoreKind.FILE)  # where it is kept is known for each connection
    assert await used(other) == "access-ü" * 700
    await other.sign_out("service", "home")
    assert keyring_session.items() == {}


async def test_a_keyring_is_read_once_per_process(keyring_session: KeyringSession) -> None:
    connections = make_connections(StoreKind.KEYRING)
    await connections.add("service", KEY, key("a"))
    again = make_connections(StoreKind.KEYRING)
    assert await used(again) == "a"
    keyring_session.kill_daemon()
    assert await used(again) == "a"


# -- trying a credential ---


async def test_verifying_lists_the_models_with_the_credential() -> None:
    plugin = ServicePlugin()
    connections = make_connections(registry=make_registry(find_paths(), plugin))
    assert [model.id for model in await connections.verify("service", key("a"))] == ["one"]
    assert [one.token for one in plugin.service.listed_with if one] == ["a"]


class Checking(ServicePlugin):
    def __init__(self, error: Exception | None = None) -> None:
        super().__init__()
        self.error = error
        self.checked: list[str] = []

    async def verify(self, credential: Credential) -> None:
        self.checked.append(credential.token)
        if self.error is not None:
            raise self.error


async def test_a_plugin_may_verify_by_itself() -> None:
    good = Checking()
    assert await make_connections(registry=make_registry(find_paths(), good)).verify("service", key("a"))
    assert good.checked == ["a"]


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (ProviderError(ErrorKind.AUTH, "The key is wrong", status=401), ProviderError),
        (ValueError("a bug\x1b[31m"), PluginError),
    ],
)
async def test_a_credential_that_is_no_good_is_a_clear_error(
    error: Exception, kind: type[JackfieldError]
) -> None:
    connections = make_connections(registry=make_registry(find_paths(), Checking(error)))
    with pytest.raises(kind) as failed:
        await connections.verify("service", key("a"))
    assert "\x1b" not in str(failed.value)


def test_nothing_heavy_is_imported_with_the_connections() -> None:
    script = (
        "import sys, json, registry.connections, registry.models\n"
        "print(json.dumps([name for name in ('pydantic', 'httpx', 'keyring', 'tomlkit', 'filelock', "
        "'cryptography') if name in sys.modules]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert json.loads(done.stdout) == []

"""The keys of a marketplace, and what is signed with them when."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from registry.marketplace.publishing import keys as keys_module
from registry.marketplace.publishing.keys import KeyFolder, KeysError, create_keys, rotate_key
from registry.marketplace.publishing.serve import make_server
from registry.marketplace.publishing.sign import LIVES, sign
from registry.marketplace.publishing.source import PublishError
from tests.registry.marketplace.site import Site, serving

PASSPHRASE = "correct horse battery staple"
CHEAP = 2**10
"""A cost of deriving keys that tests can pay."""


def test_private_keys_are_sealed_and_no_one_else_reads_them(tmp_path: Path) -> None:
    create_keys(tmp_path, PASSPHRASE, work=CHEAP)
    files = sorted(tmp_path.glob("*.key"))
    assert [file.name.partition("-")[0] for file in files] == ["root", "snapshot", "targets", "timestamp"]
    for file in files:
        assert "plain" not in json.loads(file.read_bytes())
        if os.name == "posix":
            assert file.stat().st_mode & 0o777 == 0o600
    opened = KeyFolder(tmp_path, lambda: PASSPHRASE)
    assert opened.are_sealed
    assert len(opened.signers([opened.roles["root"].keys[0].keyid])) == 1
    with pytest.raises(KeysError, match="The passphrase does not open the keys") as caught:
        KeyFolder(tmp_path, lambda: "wrong passphrase").signers([opened.roles["root"].keys[0].keyid])
    assert "wrong passphrase" not in str(caught.value)


def test_the_cost_of_a_sealed_key_is_what_is_asked_for_today() -> None:
    assert keys_module.WORK >= 2**17


def test_keys_are_not_made_twice_nor_with_a_short_passphrase(tmp_path: Path) -> None:
    with pytest.raises(KeysError, match="fewer than 8 characters"):
        create_keys(tmp_path, "short", work=CHEAP)
    with pytest.raises(KeysError, match="threshold"):
        create_keys(tmp_path, None, root_keys=1, threshold=2)
    create_keys(tmp_path, None)
    with pytest.raises(KeysError, match="There are keys in"):
        create_keys(tmp_path, None)


def test_a_key_is_not_replaced_with_another_passphrase(tmp_path: Path) -> None:
    create_keys(tmp_path, PASSPHRASE, work=CHEAP)
    before = sorted(tmp_path.iterdir())
    with pytest.raises(KeysError, match="does not open the keys"):
        rotate_key(tmp_path, "targets", "another passphrase", work=CHEAP)
    assert sorted(tmp_path.iterdir()) == before
    old, new = rotate_key(tmp_path, "targets", PASSPHRASE, work=CHEAP)
    assert [key.keyid for key in KeyFolder(tmp_path).roles["targets"].keys] == [new]
    assert old != new


def test_which_of_several_keys_is_replaced_has_to_be_said(tmp_path: Path) -> None:
    keys = create_keys(tmp_path, None, root_keys=2).roles["root"].keys
    with pytest.raises(KeysError, match="not clear which key"):
        rotate_key(tmp_path, "root", None)
    assert rotate_key(tmp_path, "root", None, old=keys[1].keyid[:10])[0] == keys[1].keyid


@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b'{"format": "jackfield-marketplace-keys"}'])
def test_a_damaged_folder_of_keys_is_told(tmp_path: Path, content: bytes) -> None:
    create_keys(tmp_path, None)
    (tmp_path / "keys.json").write_bytes(content)
    with pytest.raises(KeysError, match="holds no keys of a marketplace"):
        KeyFolder(tmp_path)


# Signing


def test_signatures_live_as_long_as_the_guide_says() -> None:
    assert {role: life.days for role, life in LIVES.items()} == {
        "root": 365,
        "targets": 90,
        "snapshot": 14,
        "timestamp": 14,
    }


@pytest.mark.parametrize(
    ("days", "signed"),
    [
        (1, ()),
        (8, ("snapshot", "timestamp")),
        (50, ("targets", "snapshot", "timestamp")),
        (200, ("root", "targets", "snapshot", "timestamp")),
    ],
)
def test_only_what_is_past_half_of_its_life_is_signed_anew(
    site: Site, days: int, signed: tuple[str, ...]
) -> None:
    assert sign(site.out, site.keys, datetime.now(UTC) + timedelta(days=days)).signed == signed


def test_a_machine_without_root_keys_goes_on_signing_while_the_root_holds(site: Site) -> None:
    for file in site.keys.folder.glob("root-*.key"):
        file.unlink()
    later = datetime.now(UTC) + timedelta(days=200)
    assert sign(site.out, site.keys, later).signed == ("targets", "snapshot", "timestamp")
    rotate_key(site.keys.folder, "targets", None)
    with pytest.raises(PublishError, match="No root key is here"):
        sign(site.out, KeyFolder(site.keys.folder), later)


async def test_a_change_is_signed_without_the_root(site: Site) -> None:
    site.say(title="Newer")
    _, signed = await site.publish()
    assert signed.signed == ("targets", "snapshot", "timestamp")


def test_nothing_is_signed_without_its_key(site: Site) -> None:
    for file in site.keys.folder.glob("targets-*.key"):
        file.unlink()
    later = datetime.now(UTC) + timedelta(days=50)
    with pytest.raises(PublishError, match="The key of targets is not here"):
        sign(site.out, site.keys, later)


def test_there_has_to_be_something_to_sign_and_to_serve(tmp_path: Path) -> None:
    with pytest.raises(PublishError, match="nothing to sign"):
        sign(tmp_path, create_keys(tmp_path / "keys", None))
    with pytest.raises(PublishError, match="holds no signed marketplace"):
        make_server(tmp_path, 0)


@pytest.mark.parametrize(
    "path",
    [
        "draft/catalogue.json.gz",
        "%64raft/catalogue.json.gz",
        "./draft/catalogue.json.gz",
        "x/../draft/catalogue.json.gz",
        "DRAFT/catalogue.json.gz",
        "note.txt",
        "metadata/",
        "",
        "../keys/keys.json",
    ],
)
def test_nothing_is_served_that_was_not_signed(site: Site, path: str) -> None:
    (site.out / "note.txt").write_text("not signed")
    with serving(site) as url:
        assert status_of(url, path) == 404
        assert status_of(url, "metadata/1.root.json") == 200


def status_of(url: str, path: str) -> int:
    """What a server answers to this very path, which no client has made plain."""
    connection = HTTPConnection(urlsplit(url).netloc, timeout=10)
    try:
        connection.request("GET", f"/{path}")
        return connection.getresponse().status
    finally:
        connection.close()

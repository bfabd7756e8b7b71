"""What counts as asked for, and that no more can be had than was agreed to."""

from __future__ import annotations

from typing import Any

import pytest

from registry.manifest import Manifest
from registry.marketplace.consent import Ask, asks_of, dependency_names, more_than

HASH = f"--hash=sha256:{'0' * 64}"


def manifest(**about: Any) -> Manifest:
    """What a plugin contributes and declares, and nothing beside these."""
    return Manifest.from_json({**Manifest("tool", "1.0").to_json(), **about})


def asked(**about: Any) -> tuple[Ask, ...]:
    return asks_of(manifest(**about))


def key(*env: str) -> dict[str, Any]:
    return {"type": "api_key", "name": "default", "env": list(env)}


def more(before: tuple[Ask, ...], now: tuple[Ask, ...]) -> list[str]:
    """What has to be asked when the one becomes the other."""
    return [ask.words for ask in more_than(before, now)]


def test_a_variable_that_may_hold_the_key_is_asked_for() -> None:
    before = asked(auth_methods=[key()])
    now = asked(auth_methods=[key("ACME_KEY", "AWS_SECRET_ACCESS_KEY"), key("OTHER_KEY")])
    assert more(before, now) == [
        "is given the environment variable ACME_KEY",
        "is given the environment variable AWS_SECRET_ACCESS_KEY",
        "is given the environment variable OTHER_KEY",
    ]


def test_a_variable_is_asked_for_once_however_it_is_had() -> None:
    both = asked(auth_methods=[key("ACME_KEY")], capabilities={"environment": ["ACME_KEY"]})
    assert [ask.what for ask in both if ask.kind == "environment"] == ["ACME_KEY"]


def test_every_package_that_is_fetched_is_asked_for() -> None:
    closure = f'left-pad==1.0 ; python_version >= "3" \\\n    {HASH}\nLeft.Pad_hash==6.6 {HASH}  # why\n'
    assert dependency_names(closure) == ("left-pad", "left-pad-hash")
    assert dependency_names("") == ()


@pytest.mark.parametrize("name", ["left-pad--hash", "left-pad--HASH", "a--b"])
def test_no_package_hides_behind_another_one_by_its_name(name: str) -> None:
    with pytest.raises(ValueError, match=f"a package named {name}"):
        dependency_names(f"left-pad==1.0 {HASH}\n{name}==6.6 {HASH}\n")

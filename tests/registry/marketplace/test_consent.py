"""What counts as asked for, and that no more can be had than was agreed to."""

from __future__ import annotations

from typing import Any

from registry.manifest import Manifest
from registry.marketplace.consent import Ask, asks_of, more_than


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

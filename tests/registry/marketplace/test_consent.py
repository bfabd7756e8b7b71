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


def oauth(**about: Any) -> dict[str, Any]:
    """A sign-in in the browser."""
    acme = "https://accounts.acme.example"
    endpoints = {"authorization_endpoint": f"{acme}/auth", "token_endpoint": f"{acme}/token"}
    return {"type": "oauth_code", "name": "default", "client_id": "tool", **endpoints, **about}


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


@pytest.mark.parametrize(
    ("about", "words"),
    [
        ({"token_endpoint": "https://Evil.example/t"}, "of the sign-in sent to evil.example"),
        ({"token_endpoint": "https://accounts.acme.example:8443/t"}, "sent to accounts.acme.example:8443"),
        ({"issuer": "https://evil.example"}, "sent to evil.example"),
        ({"revocation_endpoint": "https://evil.example/r"}, "sent to evil.example"),
        ({"registration_endpoint": "https://evil.example/r"}, "sent to evil.example"),
        ({"redirect": "paste", "redirect_uri": "https://evil.example/r"}, "sent to evil.example"),
        ({"scopes": ["admin"]}, "asks for admin when you sign in"),
        ({"extra_parameters": {"user_scope": "admin"}}, "asks for user_scope=admin when you sign in"),
    ],
)
def test_who_takes_part_in_signing_in_and_what_for_is_asked(about: dict[str, Any], words: str) -> None:
    (said,) = more(asked(auth_methods=[oauth()]), asked(auth_methods=[oauth(**about)]))
    assert words in said


def test_each_server_of_a_sign_in_is_asked_for_once() -> None:
    assert [ask.words for ask in asked(auth_methods=[oauth()])] == [
        "asks you to sign in: in the browser, at https://accounts.acme.example/auth",
        "has codes and tokens of the sign-in sent to accounts.acme.example",
    ]
    device = {"type": "oauth_device", "issuer": "https://a.example", "device_authorization_endpoint": ""}
    assert Ask("server", "a.example") in asked(auth_methods=[{**device, "name": "default"}])
    on_a_page = oauth(redirect="paste", redirect_uri="urn:ietf:wg:oauth:2.0:oob")
    assert asked(auth_methods=[on_a_page]) == asked(auth_methods=[oauth()])


def test_a_long_value_is_agreed_to_whole_and_shown_with_both_ends() -> None:
    def folder(name: str) -> tuple[Ask, ...]:
        return asked(capabilities={"folders": ["~/" + "./" * 120 + name]})

    (said,) = more(folder("notes"), folder(".ssh"))
    assert said.startswith("reads and writes ~/././")
    assert said.endswith("/./.ssh (246 characters)")
    assert len(said) < 300


@pytest.mark.parametrize("kind", ["host", "folder", "provider", "hook"])
def test_what_is_asked_for_is_safe_to_show(kind: Any) -> None:
    assert "\x1b" not in Ask(kind, "a\x1b[2J\nb").words
    assert "\n" not in Ask(kind, "a\x1b[2J\nb").words

"""Secrets are taken out of text, in whatever form they turn up there."""

from __future__ import annotations

import base64
import html
import io
import json
import logging
import re
import traceback
from collections.abc import Iterator
from urllib.parse import quote, quote_plus, urlencode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from registry import redaction
from registry.auth import Credential
from registry.contract import explain
from registry.errors import JackfieldError
from registry.provider import ErrorKind, ProviderError
from registry.redaction import MARK, RedactingFilter, redact, remember

SECRET = 's3cret/with+odd="chars" &ü'


@pytest.fixture(autouse=True)
def nothing_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redaction, "_forms", ())
    monkeypatch.setattr(redaction, "_seen", set())


@pytest.fixture
def log() -> Iterator[tuple[logging.Logger, io.StringIO]]:
    """A logger, and what its only handler wrote."""
    written = io.StringIO()
    handler = logging.StreamHandler(written)
    handler.addFilter(RedactingFilter())
    logger = logging.Logger("test")
    logger.addHandler(handler)
    yield logger, written
    handler.close()


@pytest.mark.parametrize(
    "text",
    [
        SECRET,
        quote(SECRET),
        quote(SECRET, safe=""),
        quote_plus(SECRET),
        re.sub("%..", lambda escape: escape.group().lower(), quote(SECRET, safe="")),
        json.dumps(SECRET)[1:-1],
        json.dumps(SECRET, ensure_ascii=False)[1:-1],
        repr(SECRET)[1:-1],
        repr(SECRET.encode())[2:-1],
        html.escape(SECRET),
        base64.b64encode(SECRET.encode()).decode(),
        base64.urlsafe_b64encode(SECRET.encode()).decode(),
    ],
)
def test_a_secret_is_taken_out_in_every_form(text: str) -> None:
    remember(SECRET)
    cleaned = redact(f"before {text} after")
    assert cleaned.startswith(f"before {MARK}")
    assert cleaned.endswith(" after")
    assert "s3cret" not in cleaned
    assert len(cleaned) <= len(f"before {MARK}== after")


@pytest.mark.parametrize("name", ["", "a", "ab", "abc", "someone"])
def test_basic_authentication_does_not_give_a_secret_away(name: str) -> None:
    remember("a-long-password-of-somebody")
    header = base64.b64encode(f"{name}:a-long-password-of-somebody".encode()).decode()
    cleaned = redact(f"Authorization: Basic {header}")
    assert MARK in cleaned
    assert b"password" not in base64.b64decode(cleaned.split()[-1].partition(MARK)[0] + "===")


def test_of_secrets_inside_of_each_other_the_longest_goes() -> None:
    remember("sk-12345")
    remember("sk-12345-and-more")
    assert redact("x sk-12345-and-more y sk-12345") == f"x {MARK} y {MARK}"


def test_of_secrets_that_overlap_nothing_is_left() -> None:
    remember("AAAAbbbb")
    remember("bbbbCCCC")
    assert redact("1 AAAAbbbbCCCC 2") == f"1 {MARK} 2"


def test_a_short_secret_does_not_blot_out_words() -> None:
    remember("the")
    remember(" short  ")
    assert redact("the short one") == "the short one"


@given(
    st.lists(st.text(min_size=8, max_size=30).map(str.strip), min_size=1, max_size=4), st.text(max_size=20)
)
@settings(max_examples=50)
def test_no_secret_is_left_in_any_text(secrets: list[str], between: str) -> None:
    for secret in secrets:
        remember(secret)
    cleaned = redact(between.join([*secrets, urlencode({"x": secrets[0]}), json.dumps(secrets)]))
    for secret in secrets:
        assert len(secret) < 8 or secret in MARK or secret not in cleaned.split(MARK)


def test_text_is_given_back_as_it_is_while_nothing_is_remembered() -> None:
    text = "x" * 1000
    assert redact(text) is text


def test_an_error_shows_no_secret() -> None:
    remember("sk-very-secret")
    for error in (
        JackfieldError("No sk-very-secret", detail="it was sk-very-secret", hint="not sk-very-secret"),
        ProviderError(ErrorKind.AUTH, "Bad sk-very-secret", detail="sk-very-secret", hint="sk-very-secret"),
    ):
        shown = "".join(traceback.format_exception(error)) + repr(error) + str(error) + repr(vars(error))
        assert "very" not in shown
        assert error.title.endswith(MARK)
    assert explain(ValueError("bad key sk-very-secret")) == f"ValueError: bad key {MARK}"


def test_making_a_credential_is_enough_to_have_its_secrets_taken_out() -> None:
    credential = Credential(secrets={"key": SecretStr("sk-of-a-credential")})
    assert redact("sk-of-a-credential") == MARK
    credential.model_copy(update={"secrets": {"access_token": SecretStr("another-token")}})
    assert redact("another-token") == MARK
    Credential.from_json('{"secrets": {"key": "read-from-store"}}')
    assert redact("read-from-store") == MARK


def test_a_log_shows_no_secret(log: tuple[logging.Logger, io.StringIO]) -> None:
    logger, written = log
    logger.warning("before %s", "sk-in-a-log")
    remember("sk-in-a-log")
    logger.warning("after %s %r", "sk-in-a-log", {"key": "sk-in-a-log"})
    logger.warning("stack", stack_info=True)
    try:
        raise ValueError("sk-in-a-log")
    except ValueError:
        logger.exception("failed with sk-in-a-log")
    text = written.getvalue()
    assert text.count("sk-in-a-log") == 1
    assert f"after {MARK} {{'key': '{MARK}'}}" in text
    assert f"ValueError: {MARK}" in text
    assert "Traceback" in text


def test_a_log_message_that_cannot_be_made_shows_no_secret(
    log: tuple[logging.Logger, io.StringIO], capsys: pytest.CaptureFixture[str]
) -> None:
    remember("sk-in-a-log")
    logger, written = log
    logger.warning("%d of %s", "sk-in-a-log")
    logger.exception("no error", exc_info=True)
    assert "TypeError" in written.getvalue()
    assert "sk-in-a-log" not in written.getvalue() + capsys.readouterr().err

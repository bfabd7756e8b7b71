"""What leaves the machine has no secrets; what comes back has them again, however the stream is cut."""

from __future__ import annotations

import asyncio
import re
import time

import pytest
from jackfield_redactor import RedactorPlugin
from jackfield_redactor.vault import Vault

from jackfield import ChatRequest, ChatResponse, FilePart, Message, TextDelta, TextPart, ToolResultPart

KEY = "sk-" + "aB3" * 12
PEM = "-----BEGIN RSA PRIVATE KEY-----\nMIIE\nabc=\n-----END RSA PRIVATE KEY-----"
SECRETS = [
    KEY,
    "sk-ant-api03-" + "x1_-" * 10,
    "ghp_" + "a1" * 18,
    "AKIA" + "ABCD" * 4,
    "AIza" + "a" * 35,
    "xoxb-1234567890-abcdef",
    "eyJhbGciOiJIUzI1.eyJzdWIiOiIxMjM0.c2lnbmF0dXJl",
    PEM,
]


def sent(plugin: RedactorPlugin, *texts: str) -> ChatRequest:
    request = ChatRequest("m", [Message.of("user", text) for text in texts])
    asyncio.run(plugin.on_request(request))
    return request


def streamed(plugin: RedactorPlugin, *pieces: str) -> tuple[str, str]:
    """What is shown while it streams, and the whole answer in the end."""

    async def run() -> tuple[str, str]:
        events = [await plugin.on_event(TextDelta(piece)) for piece in pieces]
        shown = "".join(event.text for event in events if isinstance(event, TextDelta))
        response = ChatResponse(Message.of("assistant", shown))
        await plugin.on_response(response)
        return shown, response.message.text

    return asyncio.run(run())


@pytest.mark.parametrize("secret", SECRETS, ids=lambda secret: secret[:6])
def test_a_secret_is_sent_as_a_placeholder(secret: str) -> None:
    text = sent(RedactorPlugin(), f"My key is {secret}, why is it refused?").messages[0].text
    assert secret not in text
    assert re.fullmatch(r"My key is \{\{secret-[0-9a-f]{12}\}\}, why is it refused\?", text)


def test_text_without_secrets_is_sent_as_it_is() -> None:
    text = "Write to me@example.org about task-1234567890123456789012 and {{name}}."
    assert sent(RedactorPlugin(), text).messages[0].text == text


def test_the_same_secret_has_one_placeholder_in_the_whole_conversation() -> None:
    first, second = (message.text for message in sent(RedactorPlugin(), KEY, KEY).messages)
    assert first == second


def test_two_processes_give_a_secret_different_placeholders() -> None:
    assert Vault().hide(KEY) != Vault().hide(KEY)


def test_system_prompts_files_and_results_of_tools_are_looked_into() -> None:
    parts = (FilePart("a.env", "text/plain", KEY.encode()), ToolResultPart("1", KEY), TextPart("see"))
    request = ChatRequest("m", [Message("user", parts)], system=f"Use {KEY}")
    asyncio.run(RedactorPlugin().on_request(request))
    assert KEY not in repr(request)


@pytest.mark.parametrize("size", [1, 2, 3, 7, 100])
def test_secrets_come_back_however_the_stream_is_cut(size: int) -> None:
    plugin = RedactorPlugin()
    hidden = sent(plugin, f"a {KEY} b {PEM}").messages[0].text
    pieces = [hidden[at : at + size] for at in range(0, len(hidden), size)]
    assert streamed(plugin, *pieces) == (f"a {KEY} b {PEM}",) * 2


def test_what_only_begins_like_a_placeholder_is_shown_as_it_is() -> None:
    text = "{{secret-}} {{secret-0123}} {{{{ {{secret-0123456789ab}} {"
    shown, kept = streamed(RedactorPlugin(), *text)
    assert text.startswith(shown)
    assert kept == text


def test_an_answer_that_was_stopped_leaves_nothing_for_the_next() -> None:
    plugin = RedactorPlugin()
    asyncio.run(plugin.on_event(TextDelta("{{sec")))
    sent(plugin, "again")
    assert streamed(plugin, "ok") == ("ok", "ok")


def test_a_text_made_to_be_slow_is_not() -> None:
    began = time.process_time()
    for text in (
        "-----BEGIN PRIVATE KEY-----" * 20_000,
        "eyJaaaaaaaaa.eyJ" * 20_000,
        "sk-" * 100_000,
        "a." * 100_000,
    ):
        Vault(emails=True).hide(text)
    assert time.process_time() - began < 4.5, "a hook that takes longer stops the turn"


def test_addresses_of_e_mail_are_hidden_when_the_user_wants_it() -> None:
    vault = Vault(emails=True)
    hidden = vault.hide("Write to me@example.org.")
    assert "example.org" not in hidden
    assert vault.show(hidden) == "Write to me@example.org."

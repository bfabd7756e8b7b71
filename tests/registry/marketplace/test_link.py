"""Links to plugins: one spelling, and nothing but the name of a plugin comes out of one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from registry.errors import JackfieldError
from registry.marketplace.entry import PluginId
from registry.marketplace.link import PREFIX, link_to, linked_plugin

LINK = "jackfield://plugin/acme/shout"


def test_a_link_leads_to_its_plugin_and_back() -> None:
    assert linked_plugin(LINK) == linked_plugin(f" {LINK}/\n") == "acme/shout"
    assert link_to("acme/shout") == LINK


@pytest.mark.parametrize(
    "text",
    [
        "",
        "acme/shout",
        "https://plugin/acme/shout",
        "jackfield://install/acme/shout",
        "jackfield://plugin/shout",
        "jackfield://plugin/acme/shout/more",
        "jackfield://plugin/../acme/shout",
        "jackfield://plugin/acme/shout?yes=1",
        "jackfield://plugin/acme/shout#now",
        "jackfield://plugin/Acme/shout",
        "jackfield://plugin/acme/sh_out",
        "jackfield://plugin/acme/sh%6Fut",
        "jackfield://plugin/\u0430cme/shout",
        "jackfield://plugin/acme/-shout",
        f"{LINK}\x1b]0;owned\x07",
        f"{PREFIX}acme/{'a' * 500}",
    ],
)
def test_what_is_no_link_is_told(text: str) -> None:
    with pytest.raises(JackfieldError, match="no link to a plugin") as caught:
        linked_plugin(text)
    assert "\x1b" not in str(caught.value)
    assert "jackfield://plugin/publisher/name" in caught.value.hint


@given(st.text(max_size=30))
def test_whatever_follows_it_is_a_name_as_catalogues_have_it_or_refused(text: str) -> None:
    try:
        found = linked_plugin(PREFIX + text)
    except JackfieldError:
        return
    assert TypeAdapter(PluginId).validate_python(found) == found

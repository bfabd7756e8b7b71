"""What a marketplace says of its plugins: safe to show, and each name in its one spelling."""

from __future__ import annotations

import json

import pytest
from pydantic import ValidationError

from registry.marketplace.entry import Catalogue, Details, Entry
from registry.marketplace.publishing.sign import sign
from registry.marketplace.trust import MarketplaceError
from registry.paths import Paths
from tests.registry.marketplace.attacks import change_draft
from tests.registry.marketplace.site import Site, added

HOSTILE = "\x1b]52;c;AAAA\x07[/x][@click=app.quit]\u202egnp.exe\u200b\x1b[2J\x9b31m\U000e0041"


async def test_hostile_text_in_every_field_of_an_entry_ends_as_safe_text(site: Site, paths: Paths) -> None:
    def poison(data: dict[str, object]) -> None:
        data.update(title=HOSTILE, description=HOSTILE)
        entry = data["entries"][0]  # type: ignore[index]
        entry.update(
            summary=HOSTILE,
            contributions=[HOSTILE],
            licence=HOSTILE,
            status_reason=HOSTILE,
            status="deprecated",
        )
        entry["versions"][0].update(yanked=HOSTILE, python=HOSTILE)
        data["revocations"] = [{"id": "acme/shout", "severity": "warn", "reason": HOSTILE}]

    change_draft(site, poison)
    sign(site.out, site.keys)
    catalogue = await (await added(paths, site)).refresh()
    texts = json.dumps(catalogue.model_dump(mode="json"), ensure_ascii=False)
    assert "gnp.exe" in texts
    for character in "\x1b\x07\x9b\u202e\u200b\U000e0041":
        assert character not in texts
        assert json.dumps(character)[1:-1] not in texts


def test_hostile_text_in_the_details_ends_as_safe_text() -> None:
    manifest = {"name": "shout", "commands": [{"name": HOSTILE, HOSTILE: [HOSTILE]}]}
    details = Details.model_validate(
        {
            "id": "acme/shout",
            "readme": HOSTILE,
            "changelog": HOSTILE,
            "links": {HOSTILE: "https://example.org/"},
            "versions": {"1.0.0": {"manifest": manifest, "launch": {"entry_point": "a:B"}}},
        }
    )
    texts = json.dumps(details.model_dump(mode="json"), ensure_ascii=False)
    for character in "\x1b\x07\x9b\u202e\u200b\U000e0041":
        assert character not in texts
        assert json.dumps(character)[1:-1] not in texts


def test_a_command_line_with_something_hidden_in_it_is_refused() -> None:
    version = {"manifest": {}, "launch": {"command": ["sh", "run\u202e.sh"]}}
    with pytest.raises(ValidationError, match="hidden"):
        Details.model_validate({"id": "acme/shout", "versions": {"1.0.0": version}})


OTHER_SPELLINGS = [
    *(
        "Acme/shout",
        "acme/Shout",
        "acme/sh_out",
        "acme_inc/shout",
        "acme/sh--out",
        "acme/-shout",
        "acme/shout-",
    ),
    *(
        "acm\u00e9/shout",
        "acme/\uff53hout",
        "acme/sh\u043eut",
        "acme/shout\u200b",
        "acme/shout\n",
        " acme/shout",
    ),
    *("acme", "acme/", "/shout", "acme/shout/x", "acme//shout", "../shout", "acme/1shout", "acme\\shout"),
]


@pytest.mark.parametrize("spelling", OTHER_SPELLINGS)
def test_a_name_in_another_spelling_is_refused(spelling: str) -> None:
    with pytest.raises(ValidationError):
        Entry.model_validate({"id": spelling, "versions": []})
    with pytest.raises(ValidationError):
        Details.model_validate({"id": spelling, "versions": {}})


async def test_a_marketplace_with_such_a_name_is_refused(site: Site, paths: Paths) -> None:
    change_draft(site, lambda data: data["entries"][0].update(id="acme/Shout"))
    sign(site.out, site.keys)
    with pytest.raises(MarketplaceError, match="was refused") as caught:
        await added(paths, site)
    assert "1 entries are not as they should be" in caught.value.detail


def test_an_id_stands_once_and_not_among_the_removed() -> None:
    entry = {"id": "acme/shout", "versions": []}
    data = {"name": "official", "made_at": "2026-01-01T00:00:00Z", "entries": [entry]}
    assert Catalogue.model_validate(data).entries[0].id == "acme/shout"
    for wrong in ({"entries": [entry, entry]}, {"removed": ["acme/shout"]}):
        with pytest.raises(ValidationError, match="twice, or was removed"):
            Catalogue.model_validate({**data, **wrong})

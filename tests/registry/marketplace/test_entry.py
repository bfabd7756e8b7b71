"""What a marketplace says of its plugins: safe to show, and each name in its one spelling."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from registry.marketplace.entry import Catalogue, Details, Entry, Version
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


@pytest.mark.parametrize("moment", ["9999-12-31T23:59:59Z", "0001-01-01T00:00:00Z", "1970-01-01T00:00:00Z"])
def test_a_time_that_cannot_be_counted_on_from_is_refused(moment: str) -> None:
    version = dict(WHOLE[Catalogue]["entries"][0]["versions"][0])
    Version.model_validate_json(json.dumps(version))
    with pytest.raises(ValidationError):
        Version.model_validate_json(json.dumps(version | {"uploaded_at": moment}))


WHOLE: dict[type[BaseModel], dict[str, Any]] = {
    Catalogue: {
        "schema_version": 1,
        "name": "official",
        "title": "T",
        "description": "D",
        "made_at": "2026-01-01T00:00:00Z",
        "entries": [
            {
                "id": "acme/shout",
                "summary": "S",
                "tags": ["fun"],
                "kinds": ["command"],
                "contributions": ["/shout"],
                "capabilities": ["host"],
                "runtime": "process",
                "licence": "MIT",
                "verified": True,
                "status": "deprecated",
                "status_reason": "R",
                "versions": [
                    {
                        "version": "1.0.0",
                        "artefact": {"path": f"files/{'0' * 64}/x.whl", "sha256": "0" * 64, "size": 9},
                        "requirements_sha256": "0" * 64,
                        "uploaded_at": "2026-01-01T00:00:00Z",
                        "min_app": "0",
                        "protocol": 1,
                        "platforms": ["linux"],
                        "python": ">=3.11",
                        "yanked": "Y",
                        "security": False,
                    }
                ],
            }
        ],
        "revocations": [
            {
                "id": "acme/shout",
                "versions": ["1.0.0"],
                "severity": "warn",
                "reason": "R",
                "link": "https://example.org/",
            }
        ],
        "removed": ["acme/gone"],
    },
    Details: {
        "id": "acme/shout",
        "readme": "R",
        "changelog": "C",
        "links": {"home": "https://example.org/"},
        "versions": {
            "1.0.0": {
                "manifest": {"name": "shout"},
                "launch": {"entry_point": "a:B"},
                "requirements": "left-pad==1.0\n",
            }
        },
    },
}


def _places(value: Any, place: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Where texts stand in JSON data."""
    if isinstance(value, str):
        yield place
    elif isinstance(value, dict | list):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _places(item, (*place, key))


def _missing(schema: Any, value: Any, whole: Any) -> Iterator[str]:
    """Fields of the model that the example does not have."""
    while "$ref" in schema:
        schema = whole["$defs"][schema["$ref"].rpartition("/")[2]]
    if isinstance(value, dict) and "properties" in schema:
        yield from schema["properties"].keys() - value.keys()
        for name, part in schema["properties"].items():
            yield from _missing(part, value.get(name), whole)
    elif isinstance(value, dict) and isinstance(schema.get("additionalProperties"), dict):
        yield from _missing(schema["additionalProperties"], next(iter(value.values())), whole)
    elif isinstance(value, list) and "items" in schema:
        yield from _missing(schema["items"], value[0], whole)


@pytest.mark.parametrize("model", WHOLE)
def test_hostile_text_in_any_field_is_made_safe_or_refused(model: type[BaseModel]) -> None:
    example = WHOLE[model]
    schema = model.model_json_schema()
    assert not list(_missing(schema, example, schema)), "the example has each field that there is"
    made_safe = 0
    for place in _places(example):
        poisoned = copy.deepcopy(example)
        spot: Any = poisoned
        for step in place[:-1]:
            spot = spot[step]
        spot[place[-1]] = HOSTILE
        try:
            texts = json.dumps(model.model_validate(poisoned).model_dump(mode="json"), ensure_ascii=False)
        except ValidationError:
            continue  # a name, a number or a choice: it has one spelling
        made_safe += 1
        assert not set("\x1b\x07\x9b\u202e\u200b\U000e0041") & set(texts), place
    assert made_safe >= 3


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

"""What a plugin asks for is data in its manifest, checked before anyone reads it."""

from __future__ import annotations

import pytest

from jackfield import Capabilities, Plugin
from registry.errors import PluginError
from registry.manifest import Manifest, describe


class Asking(Plugin):
    name = "asking"
    version = "1.0"
    capabilities = Capabilities(hosts=("b.example", "a.example", "a.example"), environment=("ASKING_KEY",))


def test_the_manifest_has_them_sorted_and_once() -> None:
    manifest = describe(Asking())
    assert manifest.capabilities == Capabilities(("a.example", "b.example"), ("ASKING_KEY",), ())
    assert Manifest.from_json(manifest.to_json()) == manifest


@pytest.mark.parametrize(
    "wrong",
    [
        Capabilities(hosts=("https://a.example/",)),
        Capabilities(hosts=("a.example\x1b[2J",)),
        Capabilities(environment=("A B",)),
        Capabilities(folders=("~/a\nb",)),
        Capabilities(hosts="a.example"),
        Capabilities(hosts=tuple(f"h{number}.example" for number in range(101))),
        "everything",
    ],
)
def test_what_is_no_capability_is_a_fault_of_the_plugin(wrong: object) -> None:
    plugin = Asking()
    plugin.capabilities = wrong  # type: ignore[assignment]
    with pytest.raises(PluginError):
        describe(plugin)


def test_a_damaged_manifest_is_noticed() -> None:
    data = describe(Asking()).to_json()
    data["capabilities"] = {"hosts": ["\x1b"], "environment": [], "folders": []}
    with pytest.raises(ValueError, match="which is none"):
        Manifest.from_json(data)

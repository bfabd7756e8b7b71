"""Two plugins of one marketplace need two versions of one library, and both work at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from registry.command import CommandCall, Show
from registry.marketplace.live import LiveInstaller
from registry.registry import PluginRegistry
from tests.registry.marketplace.machines import machine, use_wheelhouse
from tests.registry.marketplace.site import FakePlugin, make_site

USES_PADDING = """
import padding
from jackfield import Command, CommandCall, Plugin, Show


async def run(call: CommandCall) -> Show:
    extra = sorted(vars(padding.extras))[-1]
    return Show(f"{{call.argument}} padded by {{padding.VERSION}}, which has {{extra}}")


class FakePlugin(Plugin):
    name = {name!r}
    version = {version!r}
    summary = {summary!r}

    def commands(self):
        return [Command({command!r}, "Pads a text", run)]
"""


async def test_two_plugins_with_two_versions_of_one_library_work_side_by_side(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = await make_site(tmp_path / "shop")
    use_wheelhouse(monkeypatch, site, tmp_path)
    for name, version, extra in (("left", "1.4.0", "xx_old"), ("right", "2.0.0", "xx_new")):
        members = {
            "padding/__init__.py": f"from padding import extras\nVERSION = {version!r}\n".encode(),
            "padding/extras.py": f"{extra} = True\n".encode(),
        }
        line = site.dependency("padding", version, members)
        site.put(FakePlugin(f"acme/{name}", command=name, code=USES_PADDING, requirements=line))
    await site.publish()
    here = await machine(tmp_path, site)
    registry = PluginRegistry(here.paths)
    live = LiveInstaller(here.installer, registry)
    try:
        for name in ("left", "right"):
            change = await live.install(await here.plan("1.0.0", f"acme/{name}"), here.confirm)
            assert change.problem is None
            await registry.enable(name)
        said = {}
        for name in ("left", "right", "left"):
            result = await (await registry.command(name)).run(CommandCall("it", ()))
            assert isinstance(result, Show)
            said[name] = result.markdown
    finally:
        await registry.aclose()
    assert said == {
        "left": "it padded by 1.4.0, which has xx_old",
        "right": "it padded by 2.0.0, which has xx_new",
    }

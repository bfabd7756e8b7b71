"""What is installed, updated, taken back, revoked or removed takes effect on the running app at once."""

from __future__ import annotations

import asyncio
import marshal
import shutil
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from importlib.util import MAGIC_NUMBER, cache_from_source
from pathlib import Path

import pytest

from registry.auth import ApiKey
from registry.command import CommandCall, Show
from registry.errors import PluginError
from registry.handle import PluginState
from registry.marketplace.installed import InstalledPlugin, change_installed
from registry.marketplace.live import LiveInstaller
from registry.marketplace.store import remove_tree
from registry.marketplace.upkeep import verify
from registry.plugin import Plugin
from registry.registry import PluginRegistry
from registry.runtimes.process import ProcessPlugin
from registry.settings import PluginSettings, Settings
from registry.startup import fill_registry, find_manifests
from tests.registry.connection_fixtures import key, make_cheap_file, make_connections
from tests.registry.marketplace.machines import Machine, copy_of, machine
from tests.registry.marketplace.site import FakePlugin, Site, make_site

SHOUT = "acme/shout"
GREEDIER = FakePlugin(versions=("2.0.0",), hosts=("api.acme.com",))
WITH_KEY = """
from jackfield import ApiKey, Plugin


class FakePlugin(Plugin):
    name = {name!r}
    version = {version!r}

    def auth_methods(self):
        return [ApiKey(env=("KEYED_KEY",))]
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    """`acme/shout` in three versions, the last of which asks for more; and `acme/keyed`."""

    async def make() -> Site:
        versions = FakePlugin(versions=("1.0.0", "1.1.0"))
        keyed = FakePlugin("acme/keyed", code=WITH_KEY)
        site = await make_site(tmp_path_factory.mktemp("shop"), versions, keyed)
        shutil.rmtree(site.source / SHOUT / "dist")
        site.put(GREEDIER)
        await site.publish()
        return site

    return asyncio.run(make())


@dataclass
class App:
    """A running app, without its screens."""

    here: Machine
    registry: PluginRegistry
    live: LiveInstaller

    async def install(self, version: str, plugin_id: str = SHOUT, *, ask_later: bool = False) -> None:
        plan = await self.here.plan(version, plugin_id)
        change = await self.live.install(plan, self.here.confirm, ask_later=ask_later)
        assert change.problem is None

    async def says(self) -> str:
        """What the command of the plugin says."""
        command = await self.registry.command("shout")
        result = await command.run(CommandCall("hi", ()))
        assert isinstance(result, Show)
        return result.markdown

    @property
    def state(self) -> str:
        return self.registry.handle("shout").state.value

    @property
    def reason(self) -> str:
        return self.registry.handle("shout").reason


def running(here: Machine, *plugins: Plugin) -> App:
    """An app that has nothing but these."""
    registry = PluginRegistry(here.paths)
    for plugin in plugins:
        registry.register(plugin)
    return App(here, registry, LiveInstaller(here.installer, registry))


@pytest.fixture
async def app(tmp_path: Path, site: Site) -> AsyncIterator[App]:
    app = running(await machine(tmp_path, site))
    yield app
    await app.registry.aclose()


async def test_what_is_installed_is_there_at_once_and_off(app: App) -> None:
    await app.install("1.0.0")
    assert app.state == PluginState.INSTALLED
    assert app.registry.commands() == ()
    await app.registry.enable("shout")
    assert [command.name for command in app.registry.commands()] == ["shout"]
    assert await app.says() == "hi from shout 1.0.0"
    await app.registry.disable("shout")
    assert app.registry.commands() == ()


async def test_an_update_runs_the_new_code_and_proves_it(app: App) -> None:
    await app.install("1.0.0")
    await app.registry.enable("shout")
    assert await app.says() == "hi from shout 1.0.0"
    old = app.here.installed()[SHOUT].current
    change = await app.live.install(await app.here.plan("1.1.0"), app.here.confirm)
    assert change.before == old
    assert change.loaded is not None
    assert (change.loaded.version, change.loaded.tree) == ("1.1.0", change.plugin.current.tree)
    assert change.loaded.tree != old.tree
    assert app.state == PluginState.ACTIVE
    assert await app.says() == "hi from shout 1.1.0"


async def test_an_update_of_a_plugin_that_is_off_runs_nothing(app: App) -> None:
    await app.install("1.0.0")
    change = await app.live.install(await app.here.plan("1.1.0"), app.here.confirm)
    assert change.loaded is None
    assert app.registry.handle("shout").plugin is None
    assert app.registry.handle("shout").manifest.version == "1.1.0"


async def test_going_back_runs_the_old_code_within_a_second(app: App) -> None:
    await app.install("1.0.0")
    await app.install("1.1.0")
    await app.registry.enable("shout")
    change = await app.live.roll_back(SHOUT)
    assert change.loaded is not None
    assert change.loaded.version == "1.0.0"
    assert await app.says() == "hi from shout 1.0.0"


async def test_an_update_that_asks_for_more_stays_off_until_answered(app: App) -> None:
    await app.install("1.0.0")
    await app.registry.enable("shout")
    await app.install("2.0.0", ask_later=True)
    assert app.state == PluginState.NEEDS_REVIEW
    assert "asks for more than you agreed to" in app.reason
    assert app.registry.commands() == ()
    with pytest.raises(PluginError, match="cannot be switched on"):
        await app.registry.enable("shout")
    await app.live.review(SHOUT, app.here.confirm)
    assert app.state == PluginState.ENABLED
    assert await app.says() == "hi from shout 2.0.0"


async def test_the_plugin_that_waits_can_also_be_taken_back(app: App) -> None:
    await app.install("1.0.0")
    await app.registry.enable("shout")
    await app.install("2.0.0", ask_later=True)
    await app.live.roll_back(SHOUT)
    assert await app.says() == "hi from shout 1.0.0"


async def test_what_is_revoked_stops_at_once_and_starts_again_when_updated(
    tmp_path: Path, site: Site
) -> None:
    shop = copy_of(site, tmp_path / "shop")
    app = running(await machine(tmp_path, shop))
    await app.install("1.0.0")
    await app.registry.enable("shout")
    await app.says()
    shop.revoke(SHOUT, "1.0.0", reason="It leaks keys.")
    await shop.publish()
    await app.here.marketplace.refresh()
    (revoked,) = await app.live.apply_revocations()
    assert revoked.id == SHOUT
    assert app.state == PluginState.REVOKED
    assert app.reason == "Version 1.0.0 was revoked: It leaks keys."
    assert app.registry.handle("shout").plugin is None
    assert app.registry.commands() == ()
    with pytest.raises(PluginError, match="It leaks keys"):
        await app.registry.enable("shout")
    await app.install("1.1.0")
    assert await app.says() == "hi from shout 1.1.0"
    await app.registry.aclose()


async def test_what_is_removed_is_gone_at_once(app: App) -> None:
    await app.install("1.0.0")
    await app.registry.enable("shout")
    await app.says()
    data = app.here.paths.plugin_data("shout")
    data.mkdir(parents=True)
    await app.live.remove(SHOUT, data=True, secrets=True)
    assert app.registry.handles() == ()
    assert app.registry.commands() == ()
    assert not data.exists()
    assert app.here.rubbish() == []


@pytest.mark.parametrize("secrets", [True, False])
async def test_removing_signs_out_only_if_that_is_wanted(tmp_path: Path, site: Site, secrets: bool) -> None:
    app = running(await machine(tmp_path, site))
    await make_cheap_file()
    connections = make_connections(registry=app.registry)
    app.live = LiveInstaller(app.here.installer, app.registry, lambda: connections)
    await app.install("1.0.0", "acme/keyed")
    await app.registry.enable("keyed")
    await connections.add("keyed", ApiKey(env=("KEYED_KEY",)), key("sk-acme-0123456789"))
    removed = await app.live.remove("acme/keyed", data=False, secrets=secrets)
    assert len(removed.signed_out) == (1 if secrets else 0)
    assert len(await connections.all("keyed")) == (0 if secrets else 1)
    if not secrets:
        await app.live.remove("acme/keyed", data=True, secrets=True)
        assert await connections.all("keyed") == ()
    await connections.aclose()
    await app.registry.aclose()


async def test_what_another_process_did_is_followed(app: App) -> None:
    await app.install("1.0.0")
    await app.here.install("1.1.0")
    await app.live.follow()
    assert app.registry.handle("shout").manifest.version == "1.1.0"
    await app.here.install("1.0.0", "acme/keyed")
    await app.live.follow()
    assert [handle.name for handle in app.registry.handles()] == ["keyed", "shout"]


# -- before its code first runs ------------------------------------------------------------------------------


async def test_code_that_was_changed_on_the_disk_does_not_run(app: App, tmp_path: Path) -> None:
    await app.install("1.0.0")
    await app.registry.enable("shout")
    code = app.here.current() / "acme_shout.py"
    code.chmod(0o600)
    code.write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n" + code.read_text())
    with pytest.raises(PluginError, match="not what was installed") as error:
        await app.says()
    assert "plugins install acme/shout==1.0.0" in error.value.hint
    assert not (tmp_path / "ran").exists()
    assert app.state == PluginState.AUTO_DISABLED


async def test_an_agreement_to_something_else_is_none(app: App) -> None:
    await app.install("1.0.0")
    await app.registry.enable("shout")

    def ask_for_more(plugins: dict) -> None:  # type: ignore[type-arg]
        plugin = plugins[SHOUT]
        manifest = {**plugin.current.manifest}
        manifest["capabilities"] = {"hosts": ["evil.example"], "environment": [], "folders": []}
        plugins[SHOUT] = replace(plugin, current=replace(plugin.current, manifest=manifest))

    change_installed(app.here.paths, ask_for_more)
    with pytest.raises(PluginError, match="was not started"):
        await app.says()
    assert app.state == PluginState.NEEDS_REVIEW
    assert app.registry.handle("shout").plugin is None


async def test_an_app_that_missed_an_update_says_so_and_goes_on_after_a_reload(app: App) -> None:
    await app.install("1.0.0")
    await app.registry.enable("shout")
    await app.here.install("1.1.0")
    with pytest.raises(PluginError, match="changed by another Jackfield") as error:
        await app.says()
    assert "Reload it" in error.value.hint
    await app.registry.reload("shout")
    assert await app.says() == "hi from shout 1.1.0"


async def test_what_another_app_uses_goes_on_until_its_process_ends(app: App) -> None:
    """Code that is swept while a process runs from it: the process goes on with what it has loaded."""
    await app.install("1.0.0")
    await app.registry.enable("shout")
    await app.says()
    remove_tree(app.here.current())
    assert await app.says() == "hi from shout 1.0.0"
    await app.registry.disable("shout")
    await app.registry.enable("shout")
    with pytest.raises(PluginError, match="not what was installed") as error:
        await app.says()
    assert "Files of it were changed, or are gone" in error.value.detail


async def test_a_reload_reads_what_is_written_down_and_runs_nothing(app: App, tmp_path: Path) -> None:
    await app.install("1.0.0")
    code = app.here.current() / "acme_shout.py"
    code.chmod(0o600)
    code.write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n")
    await app.registry.reload("shout")
    assert app.registry.handle("shout").manifest.version == "1.0.0"
    assert not (tmp_path / "ran").exists()


async def test_its_code_is_looked_at_again_before_it_is_started_again(app: App) -> None:
    await app.install("1.0.0")
    await app.registry.enable("shout")
    assert await app.says() == "hi from shout 1.0.0"
    plugin = app.registry.handle("shout").plugin
    assert isinstance(plugin, ProcessPlugin)
    assert plugin._peer is not None
    code = app.here.current() / "acme_shout.py"
    sound = code.read_text()
    _write_installed(code, sound.replace("from shout", "from somebody else"))
    plugin._peer.stop()  # as when nobody uses it for a while
    with pytest.raises(PluginError, match="not what was installed"):
        await app.says()
    _write_installed(code, sound)
    assert await app.says() == "hi from shout 1.0.0"


async def test_one_that_was_revoked_is_not_started_again(app: App) -> None:
    await app.install("1.0.0")
    await app.registry.enable("shout")
    await app.says()
    plugin = app.registry.handle("shout").plugin
    assert isinstance(plugin, ProcessPlugin)
    assert plugin._peer is not None
    plugin._peer.stop()

    def revoke(plugins: dict[str, InstalledPlugin]) -> None:
        plugins[SHOUT] = replace(plugins[SHOUT], revoked="It is harmful.")

    change_installed(app.here.paths, revoke)
    with pytest.raises(PluginError, match="was not started again") as refused:
        await app.says()
    assert "It is harmful." in refused.value.detail


async def test_no_bytecode_that_somebody_left_runs_in_place_of_the_code(
    app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    await app.install("1.0.0")
    await app.registry.enable("shout")
    assert await app.says() == "hi from shout 1.0.0"
    code = app.here.current() / "acme_shout.py"
    monkeypatch.setattr(sys, "pycache_prefix", str(app.here.paths.cache / "bytecode"))
    _forge_bytecode(code)
    await app.registry.disable("shout")
    await app.registry.enable("shout")
    assert await app.says() == "hi from shout 1.0.0"


def _forge_bytecode(code: Path) -> None:
    """Put bytecode that fits this file by time and size, and says something else, where Python keeps it."""
    forged = Path(cache_from_source(str(code)))
    forged.parent.mkdir(parents=True, exist_ok=True)
    about = code.stat()
    head = [0, int(about.st_mtime), about.st_size]
    text = code.read_text().replace("from shout", "from somebody else")
    content = marshal.dumps(compile(text, str(code), "exec"))
    forged.write_bytes(MAGIC_NUMBER + b"".join(number.to_bytes(4, "little") for number in head) + content)


def _write_installed(file: Path, text: str) -> None:
    """Change a file of the store, and leave it as read-only as it was."""
    file.chmod(0o600)
    file.write_text(text)
    file.chmod(0o400)


async def test_running_leaves_the_store_as_it_was(app: App) -> None:
    await app.install("1.0.0")
    await app.registry.enable("shout")
    await app.says()
    assert await verify(app.here.installer) == []
    assert not any(app.here.current().rglob("__pycache__"))
    assert not any(app.here.paths.cache.rglob("*.pyc")), "bytecode that nothing would check"


# -- the next start -----------------------------------------------------------------------------------------


async def test_the_next_start_finds_it_as_it_was_left(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    await app.install("1.0.0")
    monkeypatch.setattr("registry.startup.discover", lambda _: [])
    settings = Settings(plugins={"shout": PluginSettings(enabled=True)})
    again = PluginRegistry(app.here.paths)
    fill_registry(again, find_manifests(app.here.paths), settings, plugins_off=False)
    assert again.handle("shout").state is PluginState.ENABLED
    command = await again.command("shout")
    assert await command.run(CommandCall("hi", ())) == Show("hi from shout 1.0.0")
    await again.aclose()

"""Small signed marketplaces for tests, made in a temporary folder from wheels that are made here.

site = make_site(tmp_path, FakePlugin("acme/shout", versions=("1.0.0", "1.1.0")))
marketplace = await added(paths, site)          # or site.url of `with serving(site) as url`
site.put(FakePlugin("acme/shout", versions=("1.0.0", "1.1.0", "2.0.0")))
await site.publish()
"""

from __future__ import annotations

import base64
import hashlib
import shutil
import tomllib
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Thread
from typing import Any

import tomlkit

from registry.marketplace.publishing.build import Built, build
from registry.marketplace.publishing.keys import KeyFolder, create_keys
from registry.marketplace.publishing.serve import make_server
from registry.marketplace.publishing.sign import Signed, sign
from registry.marketplace.repository import Marketplace
from registry.marketplace.sources import add_source, find_source
from registry.marketplace.trust import RootOffer
from registry.paths import Paths

OLD = timedelta(days=10)
"""How long ago versions are published if a test does not say otherwise: older than the minimum age."""

CODE = """
from jackfield import Capabilities, Command, CommandCall, Plugin, Show


async def run(call: CommandCall) -> Show:
    return Show(f"{{call.argument}} from {name} {version}")


class FakePlugin(Plugin):
    name = {name!r}
    version = {version!r}
    summary = {summary!r}
    capabilities = Capabilities(hosts={hosts!r}, environment={environment!r}, folders={folders!r})

    def commands(self):
        return [Command({command!r}, "Says it again", run)]
"""
"""What a fake plugin is made of; a text of a test's own is formatted with the same fields."""


@dataclass(frozen=True)
class FakePlugin:
    """A plugin to publish: all its versions have the same code but for their number."""

    id: str = "acme/shout"
    versions: Sequence[str] = ("1.0.0",)
    summary: str = "Says it again."
    hosts: Sequence[str] = ()
    environment: Sequence[str] = ()
    folders: Sequence[str] = ()
    command: str = ""
    """The name of its command; the plugin's own without one."""
    code: str = CODE
    about: Mapping[str, Any] = field(default_factory=dict)
    """What plugin.toml says: status, yanked, security, tags, platforms, min_app."""
    requirements: str = ""
    """The closure of every version, with hashes; see `Site.dependency`."""
    readme: str = "# A plugin\n\nSays it again.\n"
    changelog: str = "# Changes\n\n- It is there.\n"
    licence: str = "MIT"
    extra_files: Mapping[str, bytes] = field(default_factory=dict)
    """More members of each wheel."""
    python: str = ">=3.11"

    def module(self) -> str:
        return self.id.replace("/", "_").replace("-", "_")

    def source(self, version: str) -> str:
        name = self.id.partition("/")[2]
        return self.code.format(
            name=name,
            version=version,
            summary=self.summary,
            hosts=tuple(self.hosts),
            environment=tuple(self.environment),
            folders=tuple(self.folders),
            command=self.command or name,
        )

    def wheel(self, version: str, folder: Path) -> Path:
        members = {f"{self.module()}.py": self.source(version).encode(), **self.extra_files}
        return make_wheel(
            folder,
            self.module(),
            version,
            members,
            entry_points={self.id.partition("/")[2]: f"{self.module()}:FakePlugin"},
            metadata=f"License-Expression: {self.licence}\nRequires-Python: {self.python}\n",
        )


def make_wheel(
    folder: Path,
    name: str,
    version: str,
    members: Mapping[str, bytes],
    *,
    entry_points: Mapping[str, str] | None = None,
    metadata: str = "",
) -> Path:
    """A wheel with these members; the same input gives the same bytes."""
    info = f"{name}-{version}.dist-info"
    points = "".join(f"{key} = {value}\n" for key, value in (entry_points or {}).items())
    files = {
        **members,
        f"{info}/METADATA": f"Metadata-Version: 2.4\nName: {name}\nVersion: {version}\n{metadata}".encode(),
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    if points:
        files[f"{info}/entry_points.txt"] = f"[jackfield.plugins]\n{points}".encode()
    record = "".join(f"{path},sha256={_record_hash(data)},{len(data)}\n" for path, data in files.items())
    files[f"{info}/RECORD"] = f"{record}{info}/RECORD,,\n".encode()
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as wheel:
        for member, data in files.items():
            stamp = zipfile.ZipInfo(member, (2020, 2, 2, 0, 0, 0))
            stamp.external_attr = 0o100644 << 16
            wheel.writestr(stamp, data, zipfile.ZIP_DEFLATED)
    return path


def _record_hash(data: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()


@dataclass
class Site:
    """A marketplace under way: its source, its keys, and the signed files of `out`."""

    source: Path
    out: Path
    keys: KeyFolder
    wheelhouse: Path
    """Where `dependency` puts wheels. A test sets UV_FIND_LINKS to it and UV_NO_INDEX to 1."""

    @property
    def url(self) -> str:
        """The folder as an address, for who needs no server."""
        return str(self.out)

    def copy(self, folder: Path) -> Site:
        """The same marketplace in another folder, so that one test need not build what another did."""
        root = self.out.parent
        shutil.copytree(root, folder, dirs_exist_ok=True)
        parts = [folder / path.relative_to(root) for path in (self.source, self.out, self.wheelhouse)]
        return Site(parts[0], parts[1], KeyFolder(folder / "keys"), parts[2])

    def put(self, plugin: FakePlugin) -> None:
        """Write a plugin into the source, or bring it up to date."""
        folder = self.source / plugin.id
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "plugin.toml").write_text(tomlkit.dumps(dict(plugin.about)), "utf-8")
        (folder / "README.md").write_text(plugin.readme, "utf-8")
        (folder / "CHANGELOG.md").write_text(plugin.changelog, "utf-8")
        for version in plugin.versions:
            plugin.wheel(version, folder / "dist")
            if plugin.requirements:
                (folder / "requirements").mkdir(exist_ok=True)
                (folder / "requirements" / f"{version}.txt").write_text(plugin.requirements, "utf-8")

    def say(self, **about: Any) -> None:
        """Change what marketplace.toml says: `revocations` (a list of tables), `removed`, `title`."""
        file = self.source / "marketplace.toml"
        known = tomllib.loads(file.read_text("utf-8")) if file.exists() else {"name": "official"}
        file.write_text(tomlkit.dumps({**known, **about}), "utf-8")

    def revoke(
        self, plugin_id: str, *versions: str, severity: str = "disable", reason: str = "It leaks."
    ) -> None:
        """Revoke versions, all without any; `publish` makes it known."""
        known = tomllib.loads((self.source / "marketplace.toml").read_text("utf-8")).get("revocations", [])
        row = {"id": plugin_id, "versions": list(versions), "severity": severity, "reason": reason}
        self.say(revocations=[*known, row])

    def dependency(self, name: str, version: str, members: Mapping[str, bytes]) -> str:
        """Make a wheel to depend on; gives its line for `FakePlugin.requirements`."""
        wheel = make_wheel(self.wheelhouse, name.replace("-", "_"), version, members)
        return f"{name}=={version} --hash=sha256:{hashlib.sha256(wheel.read_bytes()).hexdigest()}\n"

    async def publish(self, *, age: timedelta = OLD, now: datetime | None = None) -> tuple[Built, Signed]:
        """Build and sign. New versions are `age` old; the signatures are of `now`."""
        moment = now or datetime.now(UTC)
        built = await build(self.source, self.out, clock=lambda: moment - age)
        return built, sign(self.out, self.keys, moment)


async def make_site(folder: Path, *plugins: FakePlugin, name: str = "official", age: timedelta = OLD) -> Site:
    """A signed marketplace with these plugins; `acme/shout` 1.0.0 if none is given."""
    site = Site(folder / "source", folder / "site", create_keys(folder / "keys", None), folder / "wheelhouse")
    site.source.mkdir(parents=True)
    site.say(name=name, title="Test plugins")
    for plugin in plugins or (FakePlugin(),):
        site.put(plugin)
    await site.publish(age=age)
    return site


async def yes(_: RootOffer) -> bool:
    """Agree to a root of trust."""
    return True


async def added(paths: Paths, site: Site | str, name: str = "official") -> Marketplace:
    """Add a marketplace, by its folder or an address, and fetch its catalogue."""
    where = site if isinstance(site, str) else site.url
    await add_source(paths, where, name=name, confirm=yes)
    marketplace = Marketplace(find_source(paths, name), paths)
    await marketplace.refresh()
    return marketplace


@contextmanager
def serving(site: Site) -> Iterator[str]:
    """Serve a marketplace on this machine; gives its address."""
    server = make_server(site.out, 0)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/"
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)

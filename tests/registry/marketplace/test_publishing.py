"""From a folder to a site: what is built, and what stays as it was published."""

from __future__ import annotations

import io
import json
import os
import sys
import tarfile
from datetime import timedelta
from pathlib import Path

import pytest

from registry.errors import JackfieldError
from registry.launch import Launch
from registry.marketplace.publishing.build import build, read_built
from registry.marketplace.publishing.source import PublishError
from tests.registry.marketplace.site import FakePlugin, Site, make_site, make_wheel


async def test_a_site_can_be_served_by_any_user_of_its_machine(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        site = await make_site(tmp_path)
    finally:
        os.umask(before)
    served = [site.out, *(path for path in site.out.rglob("*") if "draft" not in path.parts)]
    closed = [path for path in served if path.stat().st_mode & 0o044 != 0o044]
    assert closed == []


async def test_versions_are_described_from_their_own_code(site: Site) -> None:
    catalogue, details = read_built(site.out)
    entry = catalogue.entries[0]
    assert (entry.id, entry.summary, entry.licence) == ("acme/shout", "Says it again.", "MIT")
    assert entry.kinds == ("command",)
    assert entry.contributions == ("/shout",)
    version = entry.versions[0]
    assert version.python == ">=3.11"
    assert version.platforms == ("linux", "macos", "windows")
    assert (site.out / version.artefact.path).stat().st_size == version.artefact.size
    manifest = details["acme/shout"].versions["1.0.0"].manifest
    assert manifest["publisher"] == "acme"
    assert manifest["runtime"] == "process"


async def test_what_a_plugin_asks_for_is_in_the_catalogue(site: Site) -> None:
    site.put(FakePlugin("acme/asks", hosts=("api.acme.com",), environment=("ACME_KEY",)))
    await site.publish()
    version = read_built(site.out)[1]["acme/asks"].versions["1.0.0"]
    assert version.manifest["capabilities"]["hosts"] == ["api.acme.com"]
    launch = Launch.from_json(version.launch, folder=Path("/x"))
    assert launch.environment == ("ACME_KEY",)


async def test_a_version_that_was_published_stays_as_it_is(site: Site) -> None:
    before = read_built(site.out)[0].entries[0].versions[0]
    site.put(FakePlugin(versions=("1.1.0",)))
    (site.source / "acme/shout/dist/acme_shout-1.0.0-py3-none-any.whl").unlink()
    built, _ = await site.publish(age=timedelta(0))
    assert built.new == ("acme/shout 1.1.0",)
    newer, older = built.catalogue.entries[0].versions
    assert older == before
    assert newer.uploaded_at - older.uploaded_at > timedelta(days=9)
    assert (site.out / older.artefact.path).is_file()


async def test_a_version_never_gets_another_content(site: Site) -> None:
    before = (site.out / "draft" / "catalogue.json.gz").read_bytes()
    site.put(FakePlugin(summary="Does something else."))
    with pytest.raises(
        PublishError, match=r"acme/shout 1\.0\.0 was published with another content"
    ) as caught:
        await site.publish()
    assert "new version number" in caught.value.hint
    assert (site.out / "draft" / "catalogue.json.gz").read_bytes() == before


async def test_building_again_changes_nothing(site: Site) -> None:
    built, signed = await site.publish()
    assert built.new == ()
    assert signed.signed == ()


async def test_a_removed_id_is_never_used_again(site: Site) -> None:
    site.put(FakePlugin("acme/stays"))
    await site.publish()
    folder = site.source / "acme/shout"
    folder.rename(site.source.parent / "gone")
    with pytest.raises(PublishError, match="was published, and its folder is gone") as caught:
        await site.publish()
    assert "removed" in caught.value.hint
    site.say(removed=["acme/shout"])
    built, _ = await site.publish()
    assert [entry.id for entry in built.catalogue.entries] == ["acme/stays"]
    (site.source.parent / "gone").rename(folder)
    site.say(removed=[])
    with pytest.raises(PublishError, match="its id may not be used again"):
        await site.publish()


async def test_what_the_publisher_says_of_versions_can_change(site: Site) -> None:
    about = {
        "tags": ["loud"],
        "verified": True,
        "status": "deprecated",
        "status_reason": "Use whisper.",
        "yanked": {"1.0.0": "It loses lines."},
        "security": ["1.0.1"],
        "links": {"Source": "https://example.org/shout"},
    }
    site.put(FakePlugin(versions=("1.0.0", "1.0.1"), about=about))
    site.revoke("acme/shout", "1.0.0", severity="warn", reason="It loses lines.")
    entry = (await site.publish())[0].catalogue.entries[0]
    assert (entry.tags, entry.verified, entry.status, entry.status_reason) == (
        ("loud",),
        True,
        "deprecated",
        "Use whisper.",
    )
    assert [(one.version, one.yanked, one.security) for one in entry.versions] == [
        ("1.0.1", "", True),
        ("1.0.0", "It loses lines.", False),
    ]
    catalogue, details = read_built(site.out)
    assert catalogue.revocations[0].reason == "It loses lines."
    assert str(details["acme/shout"].links["Source"]) == "https://example.org/shout"


@pytest.mark.skipif(os.name != "posix", reason="the example is a shell script")
async def test_an_archive_with_an_executable_is_a_plugin(site: Site) -> None:
    hello = {
        "name": "echo",
        "version": "2.0.0",
        "summary": "Echoes.",
        "guard": False,
        "hooks": [],
        "verifies": False,
        "auth_methods": [],
        "providers": [],
        "commands": [{"name": "echo", "summary": "Echoes", "argument": ""}],
        "capabilities": {"hosts": [], "environment": [], "folders": []},
    }
    code = EXECUTABLE.replace("HELLO", repr(json.dumps(hello))).encode()
    folder = site.source / "acme/echo"
    (folder / "dist").mkdir(parents=True)
    command = json.dumps([sys.executable, "plugin.py"])
    (folder / "plugin.toml").write_text(f'licence = "MIT"\n[command]\nlinux = {command}\nmacos = {command}\n')
    with tarfile.open(folder / "dist" / "echo-2.0.0.tar.gz", "w:gz") as archive:
        member = tarfile.TarInfo("plugin.py")
        member.size = len(code)
        archive.addfile(member, io.BytesIO(code))
    built, _ = await site.publish()
    entry = next(entry for entry in built.catalogue.entries if entry.id == "acme/echo")
    assert entry.contributions == ("/echo",)
    assert entry.versions[0].version == "2.0.0"
    assert entry.versions[0].platforms == ("linux", "macos")
    version = read_built(site.out)[1]["acme/echo"].versions["2.0.0"]
    own = [sys.executable, "plugin.py"]
    assert version.launch["commands"] == {"linux": own, "macos": own}


EXECUTABLE = """
import json, sys
for line in sys.stdin:
    message = json.loads(line)
    if "id" in message:
        plugin = json.loads(HELLO)
        result = {"protocol": 1, "plugin": plugin} if message["method"] == "initialize" else None
        print(json.dumps({"jsonrpc": "2.0", "id": message["id"], "result": result}), flush=True)
"""


async def test_sources_are_made_into_a_wheel(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JACKFIELD_KEYS_PASSPHRASE", "correct horse battery staple")
    folder = site.source / "acme/built"
    folder.mkdir(parents=True)
    (folder / "plugin.toml").write_text("")
    (folder / "pyproject.toml").write_text(
        '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
        '[project]\nname = "acme-built"\nversion = "3.0.0"\n'
    )
    wheel = FakePlugin("acme/built", versions=("3.0.0",)).wheel("3.0.0", site.out.parent / "made")
    (folder / "backend.py").write_text(
        "import os, shutil\n"
        "assert not [name for name in os.environ if name.startswith('JACKFIELD_')], 'a passphrase'\n"
        "def build_wheel(folder, config_settings=None, metadata_directory=None):\n"
        f"    shutil.copy({str(wheel)!r}, folder)\n"
        f"    return {wheel.name!r}\n"
    )
    built, _ = await site.publish()
    assert built.new == ("acme/built 3.0.0",)
    assert (await site.publish())[0].new == ()


async def test_a_wheel_that_was_only_packed_anew_is_the_published_one(site: Site) -> None:
    wheel = site.source / "acme/shout/dist/acme_shout-1.0.0-py3-none-any.whl"
    data = wheel.read_bytes()
    wheel.write_bytes(data.replace(b"\x00\x00\x42\x50", b"\x01\x00\x42\x50"))  # another time of day
    assert wheel.read_bytes() != data
    built, _ = await site.publish()
    assert built.new == ()


async def test_the_closure_is_published_as_it_is_written_down(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UV_FIND_LINKS", str(site.wheelhouse))
    monkeypatch.setenv("UV_NO_INDEX", "1")
    line = site.dependency("acme-lib", "1.0", {"acme_lib.py": b"WORD = 'hello'\n"})
    code = FakePlugin.code.replace("from jackfield", "import acme_lib\nfrom jackfield", 1)
    site.put(FakePlugin("acme/needs", code=code, requirements=line))
    built, _ = await site.publish()
    version = next(entry for entry in built.catalogue.entries if entry.id == "acme/needs").versions[0]
    assert version.requirements_sha256 is not None
    assert read_built(site.out)[1]["acme/needs"].versions["1.0.0"].requirements == line


async def test_a_closure_that_is_missing_is_worked_out_with_hashes(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UV_FIND_LINKS", str(site.wheelhouse))
    monkeypatch.setenv("UV_NO_INDEX", "1")
    line = site.dependency("acme-lib", "1.0", {"acme_lib.py": b"WORD = 'hello'\n"})
    plugin = FakePlugin("acme/needs")
    folder = site.source / plugin.id
    site.put(plugin)
    metadata = "License-Expression: MIT\nRequires-Dist: acme-lib>=1\nRequires-Dist: nowhere; extra == 'x'\n"
    members = {"acme_needs.py": plugin.source("1.0.0").encode()}
    points = {"needs": "acme_needs:FakePlugin"}
    make_wheel(folder / "dist", "acme_needs", "1.0.0", members, entry_points=points, metadata=metadata)
    await site.publish()
    written = (folder / "requirements/1.0.0.txt").read_text()
    assert written.replace(" \\\n    ", " ").strip() == line.strip()
    assert read_built(site.out)[1]["acme/needs"].versions["1.0.0"].requirements == written


@pytest.mark.parametrize(
    ("path", "content", "words"),
    [
        ("acme/shout/plugin.toml", "verfied = true", "says what it must not"),
        ("acme/shout/plugin.toml", 'status = "dead"', "says what it must not"),
        ("acme/shout/plugin.toml", 'yanked = {"9.9" = "x"}', "names the version 9.9, which is not there"),
        ("acme/shout/plugin.toml", "= 1", "cannot be read"),
        ("acme/Shout/plugin.toml", "", "is no id of a plugin"),
        ("acme/sh_out/plugin.toml", "", "is no id of a plugin"),
        ("acme/empty/plugin.toml", "", "acme/empty has no version"),
        ("acme/shout/dist/x-1.0-py3-none-any.whl", "no zip", "is no wheel of a plugin"),
        ("acme/shout/dist/x-1.0.zip", "no zip", "does not say how to start it"),
        ("marketplace.toml", 'name = "Off icial"', "says what it must not"),
    ],
)
async def test_what_cannot_be_published_is_told(site: Site, path: str, content: str, words: str) -> None:
    file = site.source / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(content)
    with pytest.raises(PublishError) as caught:
        await site.publish()
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("plugin", "words"),
    [
        (
            FakePlugin("acme/other", code=FakePlugin.code.replace("{name!r}", "'shout'")),
            "is the plugin shout",
        ),
        (FakePlugin("acme/broken", code="raise ValueError('no')\n"), "cannot be described"),
        (FakePlugin("acme/broken", code="import os; os._exit(3)\n"), "cannot be described"),
        (FakePlugin("acme/dev", versions=("1.0.dev1",)), "cannot be published"),
        (FakePlugin("acme/needs", requirements="acme-lib==1.0\n"), "without version or hash"),
    ],
)
async def test_a_version_that_is_not_what_it_should_be_is_told(
    site: Site, plugin: FakePlugin, words: str
) -> None:
    site.put(plugin)
    with pytest.raises(JackfieldError) as caught:
        await site.publish()
    assert words in str(caught.value)


async def test_building_needs_a_source(tmp_path: Path) -> None:
    with pytest.raises(PublishError, match="cannot be read"):
        await build(tmp_path, tmp_path / "out")


async def test_what_was_built_before_has_to_be_readable(site: Site) -> None:
    (site.out / "draft/catalogue.json.gz").write_bytes(b"damaged")
    with pytest.raises(PublishError, match="What was built before cannot be read"):
        await site.publish()

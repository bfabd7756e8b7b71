"""`jackfield plugins` with a signed marketplace: child processes from the first search to the removal."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.terminal import PtySession
from tests.registry.marketplace.site import FakePlugin, Site, make_site
from tests.tui.cli_harness import COMMAND, LIMIT_S, Shell

PARROT = """
from jackfield import Capabilities, Finished, Model, Plugin, Provider, TextDelta


class Parrot(Provider):
    name = {name!r}
    title = "The parrot"
    known_models = (Model("polly"),)

    async def stream(self, request, credential):
        yield TextDelta(f"{version} heard {{request.messages[-1].text}}")
        yield Finished()


class FakePlugin(Plugin):
    name = {name!r}
    version = {version!r}
    summary = {summary!r}
    capabilities = Capabilities(hosts={hosts!r}, environment={environment!r})

    def providers(self):
        return [Parrot()]
"""
HOSTILE = "Ha\x1b]0;owned\x07 \u202egnihton [red]x[/]"


def parrot(*versions: str, hosts: tuple[str, ...] = ()) -> FakePlugin:
    return FakePlugin("acme/parrot", versions, "Says it again.", hosts=hosts, code=PARROT)


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Site:
    """A marketplace that no test changes."""
    hostile = FakePlugin("mallory/shiny", summary=HOSTILE, readme=f"# {HOSTILE}\n")
    young = FakePlugin("acme/young", command="young")
    site = asyncio.run(make_site(tmp_path_factory.mktemp("market"), parrot("1.0.0"), hostile, young))
    site.put(parrot("1.0.0", "1.1.0"))
    asyncio.run(site.publish())
    return site


@pytest.fixture
def site(published: Site, tmp_path: Path) -> Site:
    """A copy of it that a test may publish more in."""
    shutil.copytree(published.out.parent, tmp_path / "market")
    folder = tmp_path / "market"
    return Site(folder / "source", folder / "site", published.keys, folder / "wheelhouse")


def new_home(folder: Path, site: Site) -> Shell:
    """A home that has the marketplace."""
    folder.mkdir(parents=True)
    shell = Shell(folder, folder / "none")
    added = shell.run(
        "marketplace", "add", site.url, "--name", "official", "--fingerprint", _fingerprint(site), "--yes"
    )
    assert added.code == 0, added.err
    return shell


def _fingerprint(site: Site) -> str:
    from registry.marketplace.trust import fingerprint_of

    return fingerprint_of((site.out / "metadata" / "1.root.json").read_bytes())


@pytest.fixture(scope="module")
def prepared(published: Site, tmp_path_factory: pytest.TempPathFactory) -> Shell:
    """A home with the marketplace and `acme/parrot` 1.0.0, which is on."""
    shell = new_home(tmp_path_factory.mktemp("homes") / "prepared", published)
    assert shell.run("plugins", "install", "parrot==1.0.0", "--yes").code == 0
    assert shell.run("plugins", "enable", "parrot").code == 0
    return shell


@pytest.fixture
def shell(prepared: Shell, tmp_path: Path) -> Iterator[Shell]:
    """A copy of it that a test may change."""
    shutil.copytree(prepared.home, tmp_path / "home", symlinks=True)
    yield Shell(tmp_path / "home", prepared.site, prepared.env)
    for path in [tmp_path / "home", *(tmp_path / "home").rglob("*")]:
        if path.is_dir():
            path.chmod(0o700)  # the store is read-only, and pytest removes old folders


def moved(shell: Shell, site: Path) -> None:
    """Say that the marketplace is at another place."""
    sources = shell.home / "config" / "marketplaces.toml"
    address = f'url = "{site.as_uri()}/"'
    lines = [address if row.startswith("url") else row for row in sources.read_text("utf-8").splitlines()]
    sources.write_text("\n".join(lines), "utf-8")


def as_json(shell: Shell, *arguments: str) -> Any:
    result = shell.run(*arguments, "--json")
    assert result.code == 0, result.err
    return json.loads(result.out)


def trees(shell: Shell) -> list[str]:
    """The hashes of the code that is there."""
    return [folder.name for folder in (shell.home / "data" / "store").glob("[0-9a-f]*")]


def ask(shell: Shell) -> str:
    result = shell.run("ask", "--model", "parrot/polly", "hello")
    assert result.code == 0, result.err
    return result.out.strip()


def test_from_nothing_to_an_answer_an_update_and_the_end(site: Site, tmp_path: Path) -> None:
    shell = new_home(tmp_path / "home", site)
    found = as_json(shell, "plugins", "search", "parrot")
    assert [(row["id"], row["version"], row["installed"]) for row in found] == [
        ("acme/parrot", "1.1.0", None)
    ]
    assert "answers as The parrot" in shell.run("plugins", "info", "parrot").out

    refused = shell.run("plugins", "install", "parrot==1.0.0")
    assert refused.code == 2
    assert "all that you say to it goes to this plugin" in refused.err
    assert "add --yes" in refused.err
    installed = shell.run("plugins", "install", "parrot==1.0.0", "--yes")
    assert (installed.code, installed.out.splitlines()[0]) == (0, "Installed acme/parrot 1.0.0")
    assert "jackfield plugins enable parrot" in installed.err
    assert shell.run("ask", "--model", "parrot/polly", "hello").code == 3, "installing switches nothing on"
    assert shell.run("plugins", "enable", "parrot").code == 0
    assert ask(shell) == "1.0.0 heard hello"

    site.put(parrot("1.0.0", "1.1.0"))
    site.put(parrot("2.0.0", hosts=("api.acme.example",)))
    asyncio.run(site.publish())
    assert [row["newest"] for row in as_json(shell, "plugins", "outdated")] == ["2.0.0"]
    more = shell.run("plugins", "update", "parrot")
    assert (more.code, more.out) == (2, "")
    assert "now also:\n  - calls api.acme.example" in more.err
    assert "goes to this plugin" not in more.err, "only the difference is shown"
    assert ask(shell) == "1.0.0 heard hello"
    updated = as_json(shell, "plugins", "update", "--all", "--yes")[0]
    assert (updated["before"]["version"], updated["version"]) == ("1.0.0", "2.0.0")
    assert updated["loaded"] == {"version": "2.0.0", "tree": updated["tree"]}
    assert updated["tree"] != updated["before"]["tree"]
    assert ask(shell) == "2.0.0 heard hello"

    back = shell.run("plugins", "rollback", "acme/parrot")
    assert back.out.splitlines()[0] == "acme/parrot 2.0.0 -> 1.0.0"
    assert f"code    {updated['tree'][:16]} -> {updated['before']['tree'][:16]}" in back.out
    assert f"started from {updated['before']['tree'][:16]} and says that it is 1.0.0" in back.out
    assert ask(shell) == "1.0.0 heard hello"
    assert shell.run("plugins", "disable", "parrot").code == 0
    assert shell.run("ask", "--model", "parrot/polly", "hello").code == 3
    assert shell.run("plugins", "remove", "parrot").out == "Removed acme/parrot.\n"
    assert "parrot" not in shell.run("plugins", "list").out
    assert trees(shell) == []


def test_what_became_of_a_plugin_whose_marketplace_was_removed_is_said(shell: Shell) -> None:
    assert shell.run("plugins", "lock").code == 0
    assert shell.run("marketplace", "remove", "official").code == 0
    told = shell.run("plugins", "outdated")
    assert "acme/parrot came from the marketplace official, which is no longer known" in told.err
    sick = shell.run("plugins", "doctor")
    assert sick.code == 1
    assert "jackfield marketplace add WHERE --name official" in sick.out
    lock = shell.home / "config" / "plugins.lock"
    other = shell.run("plugins", "restore", str(lock), "--dry-run", "--json")
    assert (other.code, json.loads(other.out)) == (1, [])
    assert "acme/parrot is of the marketplace official, which is not known here" in other.err


def test_what_restoring_would_do_is_json_when_that_is_wanted(shell: Shell) -> None:
    assert as_json(shell, "plugins", "restore", "--dry-run") == [
        {"id": "acme/parrot", "version": "1.0.0", "needed": False}
    ]


def test_a_pinned_plugin_is_left_as_it_is(shell: Shell) -> None:
    assert shell.run("plugins", "pin", "parrot").out == "acme/parrot is pinned to 1.0.0.\n"
    assert as_json(shell, "plugins", "update", "--all") == []
    assert as_json(shell, "plugins", "outdated")[0]["pinned"] is True
    assert "pinned       yes\n" in shell.run("plugins", "show", "acme/parrot").out
    shell.run("plugins", "unpin", "parrot")
    assert as_json(shell, "plugins", "update", "--all")[0]["version"] == "1.1.0"
    origin = as_json(shell, "plugins", "show", "parrot")["origin"]
    assert (origin["id"], origin["pinned"], origin["earlier"]) == ("acme/parrot", False, ["1.0.0"])


def test_going_back_to_a_version_that_asks_for_more_needs_a_new_agreement(shell: Shell, site: Site) -> None:
    site.put(parrot("2.0.0", hosts=("api.acme.example",)))
    site.put(parrot("3.0.0"))
    asyncio.run(site.publish())
    moved(shell, site.out)
    for version in ("2.0.0", "3.0.0"):
        assert shell.run("plugins", "install", f"parrot=={version}", "--yes").code == 0
    assert ask(shell) == "3.0.0 heard hello"
    back = shell.run("plugins", "rollback", "parrot")
    assert "stays off until `jackfield plugins enable parrot`" in back.err
    assert shell.run("ask", "--model", "parrot/polly", "hello").code == 3
    refused = shell.run("plugins", "enable", "parrot")
    assert (refused.code, "- calls api.acme.example" in refused.err) == (2, True)
    assert shell.run("plugins", "enable", "parrot", "--yes").code == 0
    assert ask(shell) == "2.0.0 heard hello"


def test_removing_keeps_data_unless_it_is_told_otherwise(shell: Shell) -> None:
    data = shell.home / "data" / "plugins" / "parrot"
    data.mkdir(parents=True)
    removed = shell.run("plugins", "remove", "parrot")
    assert (removed.code, data.is_dir()) == (0, True)
    assert "What stays: its data." in removed.err
    again = shell.run("plugins", "remove", "acme/parrot", "--data")
    assert (again.code, data.exists()) == (0, False), again.err


@pytest.mark.skipif(sys.platform == "win32", reason="pseudo-terminals are not to be had there")
def test_a_person_is_asked_whether_data_go_too(shell: Shell) -> None:
    data = shell.home / "data" / "plugins" / "parrot"
    data.mkdir(parents=True)
    with PtySession(*COMMAND, "plugins", "remove", "parrot", env=shell.environment()) as terminal:
        terminal.wait_for(b"Remove the data of acme/parrot too? [y/N] ")
        terminal.send(b"y\n")
        assert terminal.wait_for_exit() == 0
    assert not data.exists()


def test_what_was_done_is_reported_though_another_one_failed(shell: Shell) -> None:
    result = shell.run("plugins", "install", "young", "nobody/nothing", "--yes")
    assert result.code == 2
    assert result.out.startswith("Installed acme/young 1.0.0\n")
    assert "nobody/nothing" in result.err


def test_a_dry_run_changes_nothing(shell: Shell, site: Site) -> None:
    def state() -> list[tuple[str, int]]:
        folders = (shell.home / "data", shell.home / "config")
        files = sorted(path for folder in folders for path in folder.rglob("*") if path.is_file())
        return [(str(path), path.stat().st_mtime_ns) for path in files if path.suffix != ".lock"]

    before = state()
    assert "acme/parrot 1.0.0 -> 1.1.0" in shell.run("plugins", "update", "parrot", "--dry-run").out
    assert shell.run("plugins", "remove", "parrot", "--dry-run").code == 0
    nowhere = shell.run("plugins", "rollback", "parrot", "--dry-run")
    assert (nowhere.code, "kept beside it: none" in nowhere.err) == (1, True)
    young, other = as_json(shell, "plugins", "install", "young", "parrot", "--dry-run")
    assert (young["id"], young["asks"]) == ("acme/young", ["adds the command /young"])
    assert (other["before"], other["version"]) == ("1.0.0", "1.1.0")
    for arguments, said in (
        (("plugins", "disable", "parrot"), "parrot would be off."),
        (("plugins", "enable", "parrot"), "parrot would be on."),
        (("plugins", "pin", "parrot"), "acme/parrot would be pinned to 1.0.0."),
        (("plugins", "unpin", "parrot"), "acme/parrot would be no longer pinned."),
        (("plugins", "lock"), ""),
        (("plugins", "restore"), ""),
        (("marketplace", "remove", "official"), "would be forgotten. What stays installed: acme/parrot."),
        (("plugins", "new", "my-plugin", "--kind", "hook", "--into", str(shell.home / "new")), "plugin.toml"),
    ):
        result = shell.run(*arguments, "--dry-run")
        assert (result.code, said in result.out) == (0, True), (arguments, result.out, result.err)
    copy = shutil.copytree(site.out, site.out.parent / "copy")
    offered = shell.run("marketplace", "add", str(copy), "--name", "again", "--dry-run")
    assert (offered.code, _fingerprint(site) in offered.err, "Nothing was added" in offered.err) == (
        0,
        True,
        True,
    )
    assert state() == before
    assert not (shell.home / "new").exists()


def test_going_back_goes_back_and_says_so_beforehand(shell: Shell) -> None:
    assert shell.run("plugins", "update", "parrot", "--yes").code == 0
    planned = shell.run("plugins", "rollback", "parrot", "--dry-run")
    assert planned.out == "acme/parrot 1.1.0 -> 1.0.0; kept here: 1.0.0\n"
    assert as_json(shell, "plugins", "rollback", "parrot", "--dry-run")["version"] == "1.0.0"
    assert ask(shell) == "1.1.0 heard hello"
    assert shell.run("plugins", "rollback", "parrot").code == 0
    again = shell.run("plugins", "rollback", "parrot")
    assert (again.code, "1.0.0 is installed; kept beside it: 1.1.0." in again.err) == (1, True)
    assert "jackfield plugins rollback acme/parrot VERSION" in again.err
    unknown = shell.run("plugins", "rollback", "parrot", "7.0")
    assert (unknown.code, "acme/parrot 7.0 is not kept here" in unknown.err) == (1, True)
    assert shell.run("plugins", "rollback", "parrot", "1.1.0").code == 0, "forward only when it is named"
    assert ask(shell) == "1.1.0 heard hello"


def test_an_update_that_cannot_be_started_fails_and_names_the_way_back(
    shell: Shell, site: Site, tmp_path: Path
) -> None:
    here = tmp_path / "the machine of the user"
    broken = f"import pathlib\nif pathlib.Path({str(here)!r}).exists():\n    import no_such_module\n"
    site.put(replace(parrot("2.0.0"), code=broken + PARROT))
    asyncio.run(site.publish())
    here.touch()
    moved(shell, site.out)
    updated = shell.run("plugins", "install", "parrot==2.0.0")
    assert updated.code == 1
    assert updated.out.startswith("acme/parrot 1.0.0 -> 2.0.0\n")
    assert "no_such_module" in updated.err
    assert "`jackfield plugins rollback acme/parrot` brings the version before." in updated.err
    assert shell.run("plugins", "rollback", "acme/parrot").code == 0
    assert ask(shell) == "1.0.0 heard hello"


def test_several_are_switched_at_once_or_none_when_one_is_unknown(shell: Shell) -> None:
    unknown = shell.run("plugins", "disable", "parrot", "anthropc")
    assert (unknown.code, "There is no plugin named anthropc" in unknown.err) == (2, True)
    assert ask(shell) == "1.0.0 heard hello"
    assert shell.run("plugins", "disable", "parrot", "anthropic").out == "parrot is off.\nanthropic is off.\n"
    both = as_json(shell, "plugins", "enable", "acme/parrot", "anthropic")
    assert both == [{"name": "parrot", "enabled": True}, {"name": "anthropic", "enabled": True}]
    states = {row["name"]: row["state"] for row in as_json(shell, "plugins", "list")}
    assert (states["parrot"], states["anthropic"]) == ("enabled", "enabled")


def test_whatever_changes_something_can_say_what_became_of_it_as_json(shell: Shell) -> None:
    assert as_json(shell, "plugins", "pin", "parrot") == {
        "id": "acme/parrot",
        "version": "1.0.0",
        "pinned": True,
    }
    assert as_json(shell, "plugins", "unpin", "parrot")["pinned"] is False
    (locked,) = as_json(shell, "plugins", "lock", "--dry-run")["plugins"]
    assert (locked["id"], len(locked["sha256"])) == ("acme/parrot", 64)
    assert as_json(shell, "plugins", "lock")["plugins"] == [locked]
    assert ": 1 plugin\n" in shell.run("plugins", "lock").out
    (shell.home / "data" / "plugins" / "parrot").mkdir(parents=True)
    planned = as_json(shell, "plugins", "remove", "parrot", "--dry-run")
    assert planned == {"id": "acme/parrot", "has_data": True, "accounts": 0}
    removed = as_json(shell, "plugins", "remove", "parrot")
    assert removed == {"id": "acme/parrot", "kept": {"data": True, "accounts": 0}}


def test_another_machine_gets_the_same_from_the_lock_file(shell: Shell, site: Site, tmp_path: Path) -> None:
    other = new_home(tmp_path / "other", site)
    lock = other.home / "config" / "plugins.lock"
    shutil.copyfile(shell.home / "config" / "plugins.lock", lock)
    text = lock.read_bytes()
    assert other.run("plugins", "restore").code == 2, "what another machine agreed to counts for nothing"
    restored = as_json(other, "plugins", "restore", "--yes")
    assert [(row["id"], row["version"]) for row in restored["installed"]] == [("acme/parrot", "1.0.0")]
    assert lock.read_bytes() == text
    assert trees(other) == trees(shell)
    assert as_json(other, "plugins", "restore")["unchanged"] == ["acme/parrot"]
    missing = other.run("plugins", "install", "--locked", "acme/young")
    assert (missing.code, "does not name acme/young" in missing.err) == (2, True)


@pytest.mark.parametrize("blocked", ["acme", "ACME/Parrot", "\uff41\uff43\uff4d\uff45/parrot"])
def test_what_is_blocked_comes_in_by_no_entrance(
    shell: Shell, site: Site, tmp_path: Path, blocked: str
) -> None:
    other = new_home(tmp_path / "other", site)
    shutil.copyfile(shell.home / "config" / "plugins.lock", other.home / "config" / "plugins.lock")
    for home in (shell, other):
        with (home.home / "config" / "config.toml").open("a", encoding="utf-8") as config:
            config.write(f'\n[marketplaces]\nblock = ["{blocked}"]\n')
    for arguments in (
        ("install", "parrot", "--yes"),
        ("install", "acme/parrot==1.0.0", "--yes", "--now"),
        ("install", "jackfield://plugin/acme/parrot", "--yes"),
        ("install", "--locked", "acme/parrot", "--yes"),
        ("restore", "--yes"),
    ):
        result = other.run("plugins", *arguments)
        assert result.code != 0, arguments
        assert "Your configuration blocks acme/parrot." in result.err, arguments
    assert trees(other) == []
    update = shell.run("plugins", "update", "parrot", "--yes")
    assert (update.code != 0, "Your configuration blocks acme/parrot." in update.err) == (True, True)
    assert ask(shell) == "1.0.0 heard hello", "what is here stays as it is"


@pytest.mark.parametrize("name", ["Acme/parrot", "acme/par-rot", "acme/p\u0430rrot", "ac_me/parrot"])
def test_another_spelling_is_another_plugin(shell: Shell, name: str) -> None:
    for wanted in (name, f"jackfield://plugin/{name}"):
        result = shell.run("plugins", "install", wanted, "--yes")
        assert result.code == 2
        assert "No marketplace has the plugin" in result.err or "no link to a plugin" in result.err


def test_who_switches_on_what_only_a_marketplace_has_is_told_how_to_get_it(shell: Shell) -> None:
    for name in ("young", "acme/young"):
        result = shell.run("plugins", "enable", name)
        assert result.code == 2
        assert "`jackfield plugins install acme/young` brings it" in result.err


def test_what_is_part_of_the_app_needs_no_installation(shell: Shell) -> None:
    result = shell.run("plugins", "install", "anthropic", "--yes")
    assert (result.code, "`jackfield plugins enable anthropic` switches it on" in result.err) == (2, True)


def test_a_marketplace_that_was_not_added_is_named(shell: Shell) -> None:
    for arguments in (("search", "x"), ("info", "parrot"), ("install", "parrot")):
        result = shell.run("plugins", *arguments, "--marketplace", "nowhere")
        assert (result.code, "no marketplace named nowhere" in result.err) == (2, True), result.err


def test_a_link_leads_to_the_same_page_as_the_name(shell: Shell) -> None:
    by_link = as_json(shell, "plugins", "info", "jackfield://plugin/acme/parrot")
    assert by_link == as_json(shell, "plugins", "info", "acme/parrot")
    assert by_link["link"] == "jackfield://plugin/acme/parrot"
    (found,) = as_json(shell, "plugins", "search", "jackfield://plugin/acme/parrot")
    assert found["id"] == "acme/parrot"
    wrong = shell.run("open", "https://example.org/acme/parrot")
    assert (wrong.code, "This is no link to a plugin" in wrong.err) == (2, True)


@pytest.mark.parametrize("content", ["{", "", "[]", '{"format": 99}'])
def test_a_damaged_list_of_what_is_installed_is_mended_by_the_command_that_is_named(
    shell: Shell, content: str
) -> None:
    (shell.home / "data" / "installed.json").write_text(content, "utf-8")
    told = shell.run("plugins", "verify")
    assert (told.code, "`jackfield plugins restore` sets it aside" in told.err) == (1, True)
    mended = shell.run("plugins", "restore", "--yes")
    assert mended.code == 0, mended.err
    assert "The damaged list of installed plugins is now" in mended.err
    assert ask(shell) == "1.0.0 heard hello"
    assert next((shell.home / "data").glob("installed.damaged-*.json")).read_text("utf-8") == content


def test_changed_code_is_found_is_not_run_and_is_brought_anew(shell: Shell) -> None:
    assert shell.run("plugins", "verify").code == 0
    (code,) = (shell.home / "data" / "store").glob("*/acme_parrot.py")
    code.chmod(0o600)
    code.write_text(code.read_text("utf-8") + "\nprint('changed')\n", "utf-8")
    verified = shell.run("plugins", "verify")
    assert (verified.code, verified.out) == (1, "acme/parrot 1.0.0: its code was changed\n")
    asked = shell.run("ask", "--model", "parrot/polly", "hello")
    assert asked.code != 0
    assert "is not what was installed" in asked.err
    examined = shell.run("plugins", "doctor")
    assert (examined.code, "wrong  store: the code of acme/parrot==1.0.0 was changed" in examined.out) == (
        1,
        True,
    )
    assert shell.run("plugins", "install", "acme/parrot==1.0.0").code == 0
    assert ask(shell) == "1.0.0 heard hello"
    assert shell.run("plugins", "doctor").code == 0


def test_a_young_version_waits_unless_it_is_wanted_now(shell: Shell, site: Site, tmp_path: Path) -> None:
    from datetime import timedelta

    site.put(FakePlugin("acme/newborn"))
    asyncio.run(site.publish(age=timedelta(hours=1)))
    home = new_home(tmp_path / "other", site)
    waits = home.run("plugins", "install", "newborn", "--yes")
    assert waits.code == 1
    assert "younger than 72 hours" in waits.err
    assert "--now" in waits.err
    assert home.run("plugins", "install", "newborn", "--yes", "--now").code == 0


@pytest.mark.skipif(sys.platform == "win32", reason="pseudo-terminals are not to be had there")
@pytest.mark.parametrize(("typed", "code"), [("\n", 1), ("n\n", 1), ("\x03", 130), ("y\n", 0)])
def test_a_person_is_asked_and_no_is_the_default(shell: Shell, typed: str, code: int) -> None:
    with PtySession(*COMMAND, "plugins", "install", "young", env=shell.environment()) as terminal:
        said = terminal.wait_for(b"Do you agree? [y/N] ").decode()
        assert "- adds the command /young" in said
        terminal.send(typed.encode())
        assert terminal.wait_for_exit() == code
    assert ("young" in shell.run("plugins", "list").out) is (code == 0)


@pytest.mark.skipif(sys.platform == "win32", reason="pseudo-terminals are not to be had there")
def test_no_to_one_plugin_is_not_no_to_the_next(shell: Shell) -> None:
    with PtySession(*COMMAND, "plugins", "install", "shiny", "young", env=shell.environment()) as terminal:
        terminal.wait_for(b"Do you agree? [y/N] ")
        terminal.send(b"n\n")
        terminal.wait_for(b"- adds the command /young")
        terminal.send(b"y\n")
        assert terminal.wait_for_exit() == 1
    names = [row["name"] for row in as_json(shell, "plugins", "list")]
    assert ("young" in names, "shiny" in names) == (True, False)


def test_a_refresh_switches_off_what_was_withdrawn(shell: Shell, site: Site) -> None:
    moved(shell, site.out)
    site.revoke("acme/parrot", "1.0.0", reason="It leaks keys.")
    asyncio.run(site.publish())
    refreshed = shell.run("marketplace", "refresh")
    assert refreshed.code == 0, refreshed.err
    assert "acme/parrot 1.0.0 was revoked: It leaks keys." in refreshed.err
    answer = shell.run("ask", "--model", "parrot/polly", "hello")
    assert answer.code != 0
    assert "heard" not in answer.out
    assert "It leaks keys." in shell.run("plugins", "list").out
    assert shell.run("plugins", "enable", "parrot").code == 1


def test_a_warning_of_its_marketplace_is_told_and_kept_in_sight(shell: Shell, site: Site) -> None:
    moved(shell, site.out)
    site.revoke("acme/parrot", "1.0.0", severity="warn", reason="It loses lines.")
    asyncio.run(site.publish())
    said = "its marketplace warns: It loses lines."
    assert said in shell.run("plugins", "outdated").err
    assert said not in shell.run("plugins", "outdated").err, "it is told once"
    assert "warning      It loses lines.\n" in shell.run("plugins", "show", "parrot").out
    examined = shell.run("plugins", "doctor")
    assert (examined.code, "its marketplace warns of 1.0.0: It loses lines." in examined.out) == (1, True)
    assert ask(shell) == "1.0.0 heard hello"
    assert shell.run("plugins", "update", "parrot").code == 0
    assert "warning" not in shell.run("plugins", "show", "parrot").out


def test_nothing_that_a_publisher_wrote_acts_on_the_terminal(shell: Shell) -> None:
    commands = [("search", "shiny"), ("info", "shiny"), ("info", "shiny", "--readme"), ("install", "shiny")]
    for command in commands:
        result = shell.run("plugins", *command)
        assert not {"\x1b", "\x07", "\u202e"} & set(result.out + result.err), command
        assert "shiny" in result.out + result.err or "Ha" in result.out


def test_what_is_not_there_is_an_error_of_the_command_line(shell: Shell) -> None:
    for command in ["info", "install", "update", "rollback", "pin", "remove"]:
        result = shell.run("plugins", command, "nobody/nothing")
        assert (result.code, result.out) == (2, ""), command
        assert "nobody/nothing" in result.err
    assert shell.run("plugins", "update").code == 2


def test_what_was_installed_can_be_listed_and_removed_while_the_marketplace_is_gone(
    shell: Shell, tmp_path: Path
) -> None:
    moved(shell, tmp_path / "gone")
    assert "What came last is used" in shell.run("plugins", "outdated").err
    assert as_json(shell, "plugins", "search", "parrot")[0]["installed"] == "1.0.0"
    assert ask(shell) == "1.0.0 heard hello"
    assert shell.run("plugins", "remove", "parrot", "--data", "--secrets").code == 0


def test_a_search_loads_nothing_that_it_does_not_need(shell: Shell) -> None:
    shell.run("plugins", "search", "parrot")
    script = (
        "import sys; from tui.cli import main; main(['plugins', 'search', 'parrot']); print(*sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-P", "-c", script],
        capture_output=True,
        text=True,
        env=shell.environment(),
        timeout=LIMIT_S,
        check=True,
    )
    assert "acme/parrot" in done.stdout
    loaded = set(done.stdout.splitlines()[-1].split())
    assert loaded.isdisjoint({"pydantic", "textual", "httpx", "keyring", "tuf", "registry.registry"})

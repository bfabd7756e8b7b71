"""What `check` finds: names that deceive, text that hides, what is not declared or missing."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from registry.marketplace.publishing.check import Finding, Taken, check, check_built
from registry.marketplace.publishing.look_alikes import distance, look_alikes, skeleton
from registry.marketplace.publishing.reading import hidden_in, is_declared, named_in_python, named_in_text
from registry.marketplace.publishing.source import PublishError
from tests.registry.marketplace.attacks import flip_last_byte
from tests.registry.marketplace.site import FakePlugin, Site

HIDDEN = {
    "\u202e": "RIGHT-TO-LEFT OVERRIDE",
    "\u200b": "ZERO WIDTH SPACE",
    "\U000e0041": "TAG LATIN CAPITAL LETTER A",
    "\U000e0101": "VARIATION SELECTOR-18",
    "\x1b": "a control character",
    "\x9b": "a control character",
    "\u2066": "LEFT-TO-RIGHT ISOLATE",
}


def found(findings: list[Finding], words: str) -> Finding:
    matching = [finding for finding in findings if words in f"{finding.where} {finding.what}"]
    assert len(matching) == 1, findings
    assert matching[0].mend
    return matching[0]


async def test_nothing_is_found_where_nothing_is_wrong(site: Site) -> None:
    assert await check(site.source, taken=Taken(["openai", "anthropic"]), against=site.out) == []
    assert await check(site.out, taken=Taken(["openai", "anthropic"])) == []


# Names


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("evil/shout", "acme/shout"),
        ("evil/shuot", "acme/shout"),
        ("evil/shoutt", "acme/shout"),
        ("evil/sh0ut", "acme/shout"),
        ("evil/rn-odel", "acme/model"),
        ("evil/s-h-o-u-t", "acme/shout"),
    ],
)
async def test_a_name_like_that_of_another_publisher_is_found(site: Site, theirs: str, ours: str) -> None:
    site.put(FakePlugin(theirs))
    site.put(FakePlugin(ours))
    await site.publish()
    names = {theirs.partition("/")[2], ours.partition("/")[2]}
    finding = found(check_built(site.out), "acme and evil")
    assert set(finding.where.split(" and ")) == names
    assert check_built(site.out, accepted=[theirs]) == []


async def test_a_name_like_that_of_a_built_in_is_found(site: Site) -> None:
    site.put(FakePlugin("acme/opena1"))
    await site.publish()
    assert found(check_built(site.out, taken=Taken(["openai"])), "Jackfield").where == "opena1 and openai"
    assert found(check_built(site.out, taken=Taken(["opena1"])), "Jackfield").where == "opena1 and opena1"


async def test_a_command_that_the_app_has_itself_is_found(site: Site) -> None:
    finding = found(check_built(site.out, taken=Taken(commands=["shout"])), "/shout of its own")
    assert finding.where == "acme/shout 1.0.0"


async def test_a_publisher_like_another_is_found(site: Site) -> None:
    site.put(FakePlugin("acrne/whistle"))
    await site.publish()
    assert found(check_built(site.out), "publisher").where == "acme and acrne"


async def test_one_publisher_may_number_its_plugins(site: Site) -> None:
    site.put(FakePlugin("acme/shout-2"))
    await site.publish()
    assert check_built(site.out) == []


async def test_a_reused_id_and_a_changed_version_are_found(site: Site) -> None:
    site.put(FakePlugin(summary="Something else."))
    findings = await check(site.source, against=site.out)
    assert "new version number" in found(findings, "published with another content").mend
    site.say(removed=["acme/shout"])
    assert "another name" in found(await check(site.source, against=site.out), "may not be used again").mend


def test_how_far_names_are_apart() -> None:
    pairs = [("shout", "shout"), ("shout", "shot"), ("shout", "shuot"), ("shout", "whistle"), ("", "ab")]
    assert [distance(*pair) for pair in pairs] == [0, 1, 1, 5, 2]
    assert skeleton("rnode1") == skeleton("model") == skeleton("mo-del")
    assert list(look_alikes(["git", "get", "jet"])) == [("get", "git"), ("get", "jet")]


names = st.text("abl1o0m-", min_size=1, max_size=7)


@settings(max_examples=50, deadline=None)
@given(st.lists(names, max_size=8))
def test_looking_up_finds_what_comparing_each_pair_finds(some: list[str]) -> None:
    known = sorted(set(some))
    expected = [
        (one, other)
        for at, one in enumerate(known)
        for other in known[at + 1 :]
        if skeleton(one) == skeleton(other)
        or distance(one, other) <= (1 if min(len(one), len(other)) < 5 else 2)
    ]
    assert list(look_alikes(some)) == expected


# Hidden text


@pytest.mark.parametrize("character", HIDDEN)
@pytest.mark.parametrize("name", ["README.md", "CHANGELOG.md"])
async def test_hidden_text_beside_the_code_is_found(site: Site, name: str, character: str) -> None:
    (site.source / "acme/shout" / name).write_text(f"# Title\n\nnice{character}text\n")
    finding = found(await check(site.source), name)
    assert finding.where == f"acme/shout: {name}, line 3"
    assert HIDDEN[character] in finding.what


async def test_hidden_text_in_code_is_found(site: Site) -> None:
    site.put(FakePlugin("acme/glass", extra_files={"acme_glass_x.py": "a = 1\nb = '\U000e0101'\n".encode()}))
    await site.publish()
    assert found(check_built(site.out), "VARIATION SELECTOR-18").where.endswith("acme_glass_x.py, line 2")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "plain\r\ntext\ttab\x0c",
        "\ufeffbom at the start",
        "caf\u00e9 \u65e5\u672c \U0001f468\u200d\U0001f469",
        "a\rb",
    ],
)
def test_what_can_be_seen_is_not_hidden(text: str) -> None:
    assert hidden_in(text) is None


# What is declared


async def test_hosts_and_variables_that_are_not_declared_are_found(site: Site) -> None:
    code = (
        FakePlugin.code
        + """
import os
URL = "https://api.acme.com/v1"
OTHER = "wss://evil.acme.net:8443/x"
SHOWN = "https://docs.example.org/"
KEY = os.environ["ACME_KEY"]
TOKEN = os.getenv("ACME_TOKEN")
HOME = os.environ.get("HOME")
"""
    )
    code = code.replace('os.environ["ACME_KEY"]', 'os.environ.get("ACME_KEY")')
    site.put(FakePlugin("acme/calls", code=code, hosts=("api.acme.com",), environment=("ACME_KEY",)))
    await site.publish()
    findings = check_built(site.out)
    assert len(findings) == 2
    assert '"evil.acme.net:8443"' in found(findings, "evil.acme.net:8443").mend
    assert '"ACME_TOKEN"' in found(findings, "ACME_TOKEN").mend


def test_documentation_calls_nobody() -> None:
    named = named_in_python('"""See https://a.acme.com."""\nx = "https://b.acme.com"\n')
    assert named.hosts == {"b.acme.com": 2}


def test_code_in_other_languages_is_read_too() -> None:
    named = named_in_text("fetch('https://a.acme.com/x');\nprocess.env.ACME_KEY + process.env['OTHER']\n")
    assert named.hosts == {"a.acme.com": 1}
    assert named.variables == {"ACME_KEY": 2, "OTHER": 2}


@pytest.mark.parametrize(
    ("host", "declared", "is_one"),
    [
        ("api.acme.com", "api.acme.com", True),
        ("api.acme.com:8443", "api.acme.com", True),
        ("api.acme.com", "api.acme.com:8443", False),
        ("x.acme.com", "*.acme.com", True),
        ("acme.com", "*.acme.com", False),
        ("evilacme.com", "*.acme.com", False),
    ],
)
def test_which_hosts_are_declared(host: str, declared: str, is_one: bool) -> None:
    assert is_declared(host, (declared,)) is is_one


# What is missing


async def test_a_licence_a_readme_and_a_summary_are_missed(site: Site) -> None:
    site.put(FakePlugin("acme/bare", licence="", readme=" ", summary=""))
    await site.publish()
    findings = check_built(site.out)
    assert [finding.where for finding in findings] == ["acme/bare"] * 3
    for word in ("licence", "README.md", "summary"):
        assert word in found(findings, word).what


async def test_a_file_that_changed_after_it_was_built_is_found(site: Site) -> None:
    flip_last_byte(next((site.out / "files").glob("*/*")))
    assert "Restore" in found(check_built(site.out), "missing or has changed").mend


@pytest.mark.parametrize("path", ["acme_startup.pth", "acme_odd-1.0.0.data/scripts/run"])
async def test_what_no_installation_takes_is_found(site: Site, path: str) -> None:
    site.put(FakePlugin("acme/odd", extra_files={path: b"import os\n"}))
    await site.publish()
    assert found(check_built(site.out), "cannot be installed").where.startswith("acme/odd 1.0.0: acme_")


async def test_what_cannot_be_built_is_a_finding(site: Site) -> None:
    site.put(FakePlugin("acme/broken", code="raise ValueError('on purpose')\n"))
    assert "on purpose" in found(await check(site.source), "cannot be described").what


async def test_another_folder_is_neither_source_nor_site(tmp_path: Path) -> None:
    with pytest.raises(PublishError, match="is neither the source of a marketplace"):
        await check(tmp_path)

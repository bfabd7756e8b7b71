"""The rows of compatible.toml: complete, read strictly, each a plugin of its own, and all there is to add."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import TypeAdapter

from jackfield import AuthMethod, PluginError
from providers.compatible import FAMILY, family_of
from providers.compatible_rows import Row, read_names, read_row
from registry.describing import Candidate, describe_all
from registry.discovery import discover
from registry.loading import load_plugin, member_entry_points
from registry.paths import find_paths
from tests.providers.peer import DONE, Reply, chunk, running_peer

FILE = Path(__file__).parents[2] / "providers" / "compatible.toml"
ENTRY_POINT = "providers.compatible:FAMILY"
EXPECTED = {
    *("openrouter", "groq", "mistral", "deepseek", "xai", "together", "fireworks", "cerebras", "perplexity"),
    *("cohere", "nvidia", "huggingface", "github-models", "azure", "vercel", "moonshot", "zai", "minimax"),
    *("qwen", "sambanova", "nebius", "deepinfra", "litellm", "custom"),
    *("ollama-server", "llamacpp-server", "lmstudio-server", "vllm-server"),
}
GOOD = """
title = "Acme"
base_url = "https://acme.example/v1"
docs = "https://acme.example/docs"
env = ["ACME_API_KEY"]
key_url = "https://acme.example/keys"
"""


def written(tmp_path: Path, text: str) -> Path:
    file = tmp_path / "endpoints.toml"
    file.write_text(text, encoding="utf-8")
    return file


def row_of(tmp_path: Path, text: str) -> Row:
    return read_row(written(tmp_path, f"[acme]\n{text}"), "acme")


def test_the_endpoints_that_people_use_are_there() -> None:
    names = FAMILY.names()
    assert set(names) >= EXPECTED
    assert len(names) >= 25


@pytest.mark.parametrize("name", read_names(FILE))
def test_a_row_is_complete(name: str) -> None:
    row = read_row(FILE, name)
    assert row.title
    assert row.docs.startswith("https://")
    assert row.base_url.startswith(("https://", "{url}"))
    assert row.hosts or "{url}" in row.base_url, "a user sees where it sends what they say"
    assert row.models or row.known or row.asks, "nothing would be offered"
    assert row.key == "none" or row.env
    assert len({model.id for model in row.known}) == len(row.known)
    assert all(ask.label and ask.placeholder for ask in row.asks.values())


def test_each_row_is_described_in_the_child_as_a_plugin_that_is_off() -> None:
    members = member_entry_points(ENTRY_POINT)
    assert members is not None
    described = describe_all([Candidate(member.partition("#")[2], member, "Jackfield") for member in members])
    for name, one in zip(FAMILY.names(), described, strict=True):
        manifest = one.manifest
        assert (manifest.problem, manifest.name, manifest.on_by_default) == ("", name, False)
        assert [entry.name for entry in manifest.providers] == [name]
        assert manifest.auth_methods
        for method in manifest.auth_methods:
            TypeAdapter(AuthMethod).validate_python(dict(method.data))
        assert str(FILE) in one.sources
        assert manifest.capabilities.hosts == read_row(FILE, name).hosts


def test_the_custom_server_is_signed_in_to_with_an_address_and_perhaps_a_key() -> None:
    form, key = FAMILY.make("custom").auth_methods()
    assert form.type == "form"
    assert [(field.name, field.kind, field.required) for field in form.fields] == [
        ("url", "url", True),
        ("key", "secret", False),
    ]
    assert key.type == "api_key"
    assert key.env == ("CUSTOM_API_KEY",)


def test_importing_the_rows_loads_nothing_heavy() -> None:
    script = (
        "import sys; import providers.compatible as it; it.FAMILY.make('groq').providers(); "
        "print(sorted({'httpx', 'pydantic', 'tomlkit', 'asyncio', 'difflib'} & sys.modules.keys()))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=FILE.parents[1], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


# -- rows with a slip ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "names"),
    [
        (GOOD.replace('title = "Acme"', ""), "acme has no title"),
        (GOOD.replace('"Acme"', "7"), "acme.title is 7"),
        (GOOD.replace('"Acme"', '" "'), "acme.title"),
        (GOOD + "tittle = 1", "Did you mean title?"),
        (GOOD + "zzz = 1", "'zzz'"),
        (GOOD.replace("https://acme.example/v1", "acme.example"), "acme.base_url"),
        (GOOD.replace("https://acme.example/docs", "javascript:x"), "acme.docs"),
        (GOOD.replace('["ACME_API_KEY"]', '"ACME_API_KEY"'), "acme.env is 'ACME_API_KEY'"),
        (GOOD.replace('["ACME_API_KEY"]', "[1]"), "acme.env[0] is 1"),
        (GOOD.replace('env = ["ACME_API_KEY"]', ""), "acme wants a key"),
        (GOOD + 'key = "sometimes"', "required, optional, none"),
        (GOOD + "models_need_key = 1", "true or false"),
        (GOOD + "known = [{ name = 'x' }]", "acme.known[0] has no id"),
        (GOOD + "known = [{ id = '' }]", "acme.known[0].id"),
        (GOOD + "known = [{ id = 'x', context_window = '9' }]", "acme.known[0].context_window"),
        (GOOD + "quirks = 3", "acme.quirks is 3"),
        (GOOD + "quirks = { think_tag = true }", "Did you mean think_tags?"),
        (GOOD + "quirks = { max_tokens = 'tokens' }", "max_completion_tokens"),
        (GOOD + "quirks = { stops = { odd = 'happy' } }", "acme.quirks.stops.odd"),
        (GOOD + "quirks = { extra = { when = 2026-01-01 } }", "acme.quirks.extra.when"),
        (GOOD + "quirks = { extra = { much = [inf] } }", "acme.quirks.extra.much"),
        (GOOD + 'headers = { X-A = "a\\nb" }', "acme.headers.X-A"),
        (GOOD + 'headers = { "X A" = "a" }', "acme.headers.X A"),
        (GOOD.replace("acme.example/v1", "{region}.acme.example"), "{region}"),
        (GOOD + 'query = { v = "{version}" }', "{version}"),
        (GOOD + 'asks = { key = { label = "Key" } }', "acme.asks.key"),
        (GOOD + 'asks = { "A b" = { label = "X" } }', "acme.asks.A b"),
    ],
)
def test_a_slip_is_named_with_its_row_and_its_key(tmp_path: Path, text: str, names: str) -> None:
    with pytest.raises(PluginError) as caught:
        row_of(tmp_path, text)
    assert names in str(caught.value)
    assert "endpoints.toml: acme" in caught.value.title
    assert caught.value.hint


def test_a_row_that_is_no_table_is_named(tmp_path: Path) -> None:
    with pytest.raises(PluginError, match=r"endpoints\.toml: acme is 3"):
        read_row(written(tmp_path, "acme = 3"), "acme")


def test_a_file_that_is_no_toml_is_one_broken_plugin_with_the_line(tmp_path: Path) -> None:
    with pytest.raises(PluginError, match=r"endpoints\.toml cannot be read") as caught:
        read_names(written(tmp_path, "[acme\n"))
    assert "line 1" in caught.value.detail
    with pytest.raises(PluginError, match="cannot be read"):
        read_names(tmp_path / "none.toml")


def test_a_row_that_is_gone_is_told(tmp_path: Path) -> None:
    with pytest.raises(PluginError, match="no endpoint named gone"):
        read_row(written(tmp_path, "[acme]"), "gone")


# -- installed beside the app -------------------------------------------------------------------------------


@pytest.fixture
def copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the rows under other names, installed as a package of its own whose code is one line."""
    site = tmp_path / "site"
    info = site / "endpoints_for_test-1.dist-info"
    info.mkdir(parents=True)
    file = site / "rows.toml"
    file.write_text(FILE.read_text(encoding="utf-8").replace("\n[", "\n[copy-"), encoding="utf-8")
    code = "from pathlib import Path\nfrom providers.compatible import family_of\n"
    code += 'FAMILY = family_of(Path(__file__).with_name("rows.toml"))\n'
    (site / "endpoints_for_test.py").write_text(code, encoding="utf-8")
    (info / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: endpoints-for-test\nVersion: 1\n", encoding="utf-8"
    )
    entries = "[jackfield.plugins]\ncopies = endpoints_for_test:FAMILY\n"
    (info / "entry_points.txt").write_text(entries, encoding="utf-8")
    monkeypatch.syspath_prepend(site)
    return file


def found() -> dict[str, str]:
    """The plugins of the copy, each with its problem."""
    manifests = discover(find_paths())
    return {
        entry["name"]: entry["problem"] for entry in manifests if "endpoints_for_test" in entry["entry_point"]
    }


def test_a_row_more_is_a_plugin_more_and_nothing_else_changes(copied: Path) -> None:
    before = found()
    assert len(before) == len(FAMILY.names())
    with copied.open("a", encoding="utf-8") as file:
        file.write(f"\n[acme]{GOOD}")
    assert found() == {**before, "acme": ""}
    plugin = load_plugin("endpoints_for_test:FAMILY#acme")
    assert [provider.title for provider in plugin.providers()] == ["Acme"]


def test_a_wrong_row_breaks_its_own_plugin_only_and_is_mended_by_an_edit(copied: Path) -> None:
    whole = copied.read_text(encoding="utf-8")
    copied.write_text(
        f'{whole}\n[acme]{GOOD}keyy = 1\n["Bad \x1b[2J".x]\n[number]\ntitle = 3\n'.replace("\x1b", "\\u001b"),
        encoding="utf-8",
    )
    problems = {name: problem for name, problem in found().items() if problem}
    assert set(problems) == {"acme", "number", f"endpoint-{len(FAMILY.names()) + 2}"}
    assert "Did you mean key?" in problems["acme"]
    assert not any("\x1b" in problem for problem in problems.values())
    copied.write_text(f"{whole}\n[acme]{GOOD}", encoding="utf-8")
    os.utime(copied, ns=(1, 1))
    assert not any(found().values())


async def test_a_custom_server_answers_on_the_command_line(tmp_path: Path) -> None:
    site = tmp_path / "site"
    info = site / "compatible_for_test-1.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: compatible-for-test\nVersion: 1\n", encoding="utf-8"
    )
    # The same entry point as the app's own counts once.
    (info / "entry_points.txt").write_text(
        f"[jackfield.plugins]\ncompatible = {ENTRY_POINT}\n", encoding="utf-8"
    )
    config = tmp_path / "home" / "config"
    config.mkdir(parents=True)
    reply = Reply(
        [chunk({"content": "Hello from "}), chunk({"content": "here."}), chunk(finish_reason="stop"), DONE]
    )
    async with running_peer(reply) as peer:
        (config / "config.toml").write_text(
            f'[plugins.custom]\nenabled = true\n[plugins.custom.options]\nurl = "{peer.url}"\n',
            encoding="utf-8",
        )
        out, error, code = await _run(tmp_path / "home", site, "ask", "--model", "custom/x", "Hi")
    assert (out, error, code) == ("Hello from here.\n", "", 0)
    line, headers, _ = peer.requests[-1]
    assert line == "POST /v1/chat/completions HTTP/1.1"
    assert headers["authorization"] == "Bearer from-the-environment"
    assert peer.sent()["model"] == "x"


async def _run(home: Path, site: Path, *arguments: str) -> tuple[str, str, int | None]:
    """Run the command line to its end."""
    import asyncio

    kept = {key: value for key, value in os.environ.items() if not key.startswith(("JACKFIELD_", "PYTHON"))}
    env = {
        **kept,
        "JACKFIELD_HOME": str(home),
        "PYTHONPATH": str(site),
        "CUSTOM_API_KEY": "from-the-environment",
    }
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", "-m", "tui.cli", *arguments),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=env,
    )
    out, error = await asyncio.wait_for(process.communicate(), 60)
    return out.decode(), error.decode(), process.returncode


def test_a_family_may_be_made_of_any_file(tmp_path: Path) -> None:
    family = family_of(written(tmp_path, f"[acme]{GOOD}"))
    assert list(family.names()) == ["acme"]
    assert family.make("acme").summary == "Models at Acme, with your own key"

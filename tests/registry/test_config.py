"""config.toml is read whatever it holds, and changed without harm to what the user wrote."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import pytest

from registry.config import (
    MAX_BYTES,
    LoadedConfig,
    PluginSettings,
    Settings,
    TomlValue,
    load_config,
    update_config,
)
from registry.errors import ConfigError
from registry.paths import Paths
from registry.secret_contract import StoreKind
from registry.settings import SecretsSettings

posix_only = pytest.mark.skipif(os.name != "posix", reason="permissions and links as POSIX has them")

FULL = """\
# My settings
theme = "paper"   # easy on the eyes
model = "local/smol"

[plugins.local]
enabled = true    # always
[plugins.local.options]
threads = 4
since = 2026-01-02T03:04:05Z
"$" = ["x"]

[keys]
"composer.send" = "ctrl+s"
"""


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    return Paths(tmp_path / "config", tmp_path / "data", tmp_path / "cache")


def write(paths: Paths, content: str | bytes) -> None:
    paths.config.mkdir(exist_ok=True)
    paths.config_file.write_bytes(content.encode() if isinstance(content, str) else content)


def load(paths: Paths, content: str | bytes) -> LoadedConfig:
    write(paths, content)
    return load_config(paths)


def update(paths: Paths, *path: str, to: TomlValue | None) -> str:
    update_config(paths, {path: to})
    return paths.config_file.read_text(encoding="utf-8")


def run(code: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_without_a_file_all_settings_have_their_defaults(paths: Paths) -> None:
    assert load_config(paths) == LoadedConfig(Settings(), ())
    assert not paths.cache.exists()


def test_a_full_file_is_read(paths: Paths) -> None:
    options = {"threads": 4, "since": datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), "$": ["x"]}
    expected = Settings(
        theme="paper",
        model="local/smol",
        plugins={"local": PluginSettings(enabled=True, options=options)},
        keys={"composer.send": "ctrl+s"},
    )
    assert load(paths, FULL) == LoadedConfig(expected, ())


def test_the_second_reading_gives_the_same_as_the_first(paths: Paths) -> None:
    content = FULL + '\n[plugin]\nx = 1\n[plugins.other]\nenabled = "no"\n'
    first = load(paths, content)
    assert len(first.problems) == 2
    assert load_config(paths) == first


def test_a_byte_order_mark_and_windows_line_ends_are_read_and_kept(paths: Paths) -> None:
    write(paths, "\ufeff" + FULL.replace("\n", "\r\n"))
    assert load_config(paths).settings.theme == "paper"
    update_config(paths, {("plugins", "acme", "enabled"): True})
    content = paths.config_file.read_bytes()
    assert content.startswith(b"\xef\xbb\xbf# My settings\r\n")
    assert b"enabled = true\r\n" in content
    assert content.count(b"\n") == content.count(b"\r\n")


def test_a_value_of_the_wrong_type_costs_only_itself(paths: Paths) -> None:
    loaded = load(
        paths,
        'theme = "paper"\nhistory = "yes"\n\n[plugins.local]\nenabled = 1\noptions = { a = 1 }\n'
        '[keys]\n"a" = 1\n"b" = "ctrl+b"\n',
    )
    assert loaded.settings == Settings(
        theme="paper", plugins={"local": PluginSettings(options={"a": 1})}, keys={"b": "ctrl+b"}
    )
    assert [(problem.key, problem.line, problem.level) for problem in loaded.problems] == [
        ("history", 2, "error"),
        ("plugins.local.enabled", 5, "error"),
        ("keys.a", 8, "error"),
    ]
    assert str(loaded.problems[0]) == (
        f"{paths.config_file}, line 2: `history` must be true or false, not text; its default is used."
    )


@pytest.mark.parametrize(
    ("content", "key", "line", "suggestion"),
    [
        ('thme = "x"', "thme", 1, "theme"),
        ("\n[plugin.local]\nenabled = true", "plugin", 2, "plugins"),
        ("[plugins]\nlocal.enbled = true", "plugins.local.enbled", 2, "plugins.local.enabled"),
        (
            '[plugins."my plugin"]\nenabeld = true',
            'plugins."my plugin".enabeld',
            2,
            'plugins."my plugin".enabled',
        ),
        ("plugins = { a = { option = { x = 1 } } }", "plugins.a.option", 1, "plugins.a.options"),
        ("zzzzzz = 1", "zzzzzz", 1, ""),
        ('[secrets]\nstor = "file"', "secrets.stor", 2, "secrets.store"),
        ('[secret]\nstore = "file"', "secret", 1, "secrets"),
        ("[[themes]]\n[[themes]]", "themes", 1, "theme"),
    ],
)
def test_an_unknown_key_is_a_warning_with_the_nearest_valid_one(
    paths: Paths, content: str, key: str, line: int, suggestion: str
) -> None:
    (problem,) = load(paths, content).problems
    assert (problem.key, problem.line, problem.suggestion, problem.level) == (
        key,
        line,
        suggestion,
        "warning",
    )
    assert ("Did you mean" in str(problem)) == bool(suggestion)


@pytest.mark.parametrize(
    "content",
    ["plugins = 3", "keys = []", "[[plugins]]\na = 1", "plugins.local = true", "theme = 1979-05-27"],
)
def test_anything_in_place_of_a_table_or_text_is_a_problem_and_no_crash(paths: Paths, content: str) -> None:
    loaded = load(paths, content)
    assert loaded.settings == Settings()
    assert [(problem.line, problem.level) for problem in loaded.problems] == [(1, "error")]


@pytest.mark.parametrize("kind", StoreKind)
def test_the_place_for_secrets_is_read_checked_and_found_again_in_the_cache(
    paths: Paths, kind: StoreKind
) -> None:
    content = f'[secrets]\nstore = "{kind}"\n'
    for _ in range(2):
        assert load(paths, content) == LoadedConfig(Settings(secrets=SecretsSettings(kind)))
    assert update_config(paths, {("secrets", "store"): "session"}).settings.secrets.store is StoreKind.SESSION
    with pytest.raises(ConfigError):
        update_config(paths, {("secrets", "store"): "plain"})


@pytest.mark.parametrize(
    "value", ['"plaintext"', '"\\u001b[31m"', "1", "true", '["file"]', '"KEYRING"', '""']
)
def test_another_place_for_secrets_is_an_error_and_the_keyring_is_used(paths: Paths, value: str) -> None:
    loaded = load(paths, f"[secrets]\nstore = {value}\n")
    assert loaded.settings.secrets.store is StoreKind.KEYRING
    (problem,) = loaded.problems
    assert (problem.key, problem.line, problem.level) == ("secrets.store", 2, "error")
    assert str(problem).endswith(
        "must be 'keyring', 'file', 'session' or 'environment'; its default is used."
    )


def test_an_id_with_a_dot_outside_of_quotes_is_explained(paths: Paths) -> None:
    (problem,) = load(paths, '[keys]\ncomposer.send = "ctrl+s"').problems
    assert "stands in quotes" in str(problem)


def test_hostile_keys_are_shown_without_control_characters(paths: Paths) -> None:
    (problem,) = load(paths, '"\\u001b]0;x\\u0007\\u009b2J\\u202e[/x]" = 1').problems
    assert problem.key.isprintable()
    assert "\x9b" not in str(problem)


@pytest.mark.parametrize(
    ("content", "place", "reason"),
    [
        (b"theme = \n", "line 1, column 9", "is not TOML"),
        (b'theme = "x"\n[keys\n', "line 2, column 6", "is not TOML"),
        (b'a = 1\nb = """\nx', "line 3, column 2", "is not TOML"),
        (b"a = 1\na = 2\n", "line 2", "is not TOML"),
        (b'theme = "x"\n# \xff\n', "line 2", "is not UTF-8 text: byte 0xff"),
        (b"a = " + b"[" * 100_000, "", "Nested too deeply"),
        (b"a = " + b"9" * 5000, "", "is not TOML"),
        (b"#" * (MAX_BYTES + 1), "", "larger than 1,000,000 bytes"),
    ],
    ids=["value", "header", "string", "twice", "utf-8", "depth", "number", "size"],
)
def test_a_broken_file_gives_defaults_and_one_error_and_is_never_overwritten(
    paths: Paths, content: bytes, place: str, reason: str
) -> None:
    loaded = load(paths, content)
    assert loaded.settings == Settings()
    (problem,) = loaded.problems
    assert problem.level == "error"
    assert place in str(problem)
    assert reason in str(problem)
    with pytest.raises(ConfigError) as raised:
        update_config(paths, {("theme",): "paper"})
    assert raised.value.hint
    assert paths.config_file.read_bytes() == content


def test_a_folder_in_place_of_the_file_is_said_and_left(paths: Paths) -> None:
    paths.config_file.mkdir(parents=True)
    loaded = load_config(paths)
    assert loaded.settings == Settings()
    assert "it is a folder" in str(loaded.problems[0])
    with pytest.raises(ConfigError, match="it is a folder"):
        update_config(paths, {("theme",): "paper"})


@posix_only
def test_a_pipe_in_place_of_the_file_does_not_hang(paths: Paths) -> None:
    paths.config.mkdir()
    os.mkfifo(paths.config_file)
    assert "not a regular file" in str(load_config(paths).problems[0])


def test_a_file_in_place_of_the_folder_is_said(paths: Paths) -> None:
    paths.config.write_text("")
    loaded = load_config(paths)
    assert loaded.settings == Settings()
    with pytest.raises(ConfigError):
        update_config(paths, {("theme",): "paper"})


@posix_only
def test_a_read_only_file_is_refused_even_for_root(paths: Paths) -> None:
    write(paths, FULL)
    paths.config_file.chmod(0o444)
    assert load_config(paths).settings.theme == "paper"
    with pytest.raises(ConfigError, match="read-only") as raised:
        update_config(paths, {("theme",): "dark"})
    assert "Make it writable" in raised.value.hint
    assert paths.config_file.read_text() == FULL


@posix_only
def test_a_read_only_folder_is_refused(paths: Paths) -> None:
    write(paths, FULL)
    paths.config.chmod(0o555)
    try:
        with pytest.raises(ConfigError, match="its folder is read-only"):
            update_config(paths, {("theme",): "dark"})
    finally:
        paths.config.chmod(0o755)


@posix_only
def test_the_mode_of_the_file_and_a_link_to_it_stay(paths: Paths, tmp_path: Path) -> None:
    dotfile = tmp_path / "dotfiles.toml"
    dotfile.write_text(FULL)
    dotfile.chmod(0o640)
    paths.config.mkdir()
    paths.config_file.symlink_to(dotfile)
    update_config(paths, {("theme",): "dark"})
    assert paths.config_file.is_symlink()
    assert 'theme = "dark"   # easy on the eyes' in dotfile.read_text()
    assert stat.S_IMODE(dotfile.stat().st_mode) == 0o640


@posix_only
def test_a_new_file_is_for_the_user_alone(paths: Paths) -> None:
    update_config(paths, {("theme",): "dark"})
    assert stat.S_IMODE(paths.config_file.stat().st_mode) == 0o600


def test_a_change_gives_the_settings_that_now_hold(paths: Paths) -> None:
    write(paths, FULL)
    changed = update_config(paths, {("plugins", "acme", "enabled"): False, ("model",): None})
    assert changed.settings.plugins["acme"].enabled is False
    assert changed.settings.model is None
    assert changed == load_config(paths)


def test_a_change_touches_its_own_line_only(paths: Paths) -> None:
    write(paths, FULL)
    expected = FULL.replace("enabled = true    # always", "enabled = false    # always")
    assert update(paths, "plugins", "local", "enabled", to=False) == expected


def test_a_change_to_what_already_holds_does_not_write(paths: Paths) -> None:
    write(paths, FULL)
    before = paths.config_file.stat().st_mtime_ns, paths.config_file.stat().st_ino
    update_config(paths, {("theme",): "paper", ("nothing", "here"): None})
    assert (paths.config_file.stat().st_mtime_ns, paths.config_file.stat().st_ino) == before


def test_unknown_keys_stay(paths: Paths) -> None:
    write(paths, "future = { a = [1, 2] } # from a later version\n")
    assert update(paths, "theme", to="dark").startswith("future = { a = [1, 2] } # from a later version\n")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({("theme",): 3}, "`theme` must be text"),
        ({("plugins", "local", "enabled"): "yes"}, "`plugins.local.enabled` must be true or false"),
        ({("keys",): {"a": 1}}, "`keys.a` must be text"),
        ({("theme", "x"): "y"}, "`theme` is not a table"),
        ({("model",): "\ud800"}, "without harm"),
        ({("model",): "x" * MAX_BYTES}, "larger than"),
    ],
)
def test_a_change_that_the_settings_do_not_allow_is_refused(
    paths: Paths, change: Mapping[tuple[str, ...], TomlValue | None], message: str
) -> None:
    write(paths, FULL)
    with pytest.raises(ConfigError, match=message):
        update_config(paths, {("history",): False, **change})
    assert paths.config_file.read_text() == FULL


def test_a_full_disk_leaves_the_old_file(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    write(paths, FULL)
    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(ConfigError, match="no space left"):
        update_config(paths, {("theme",): "dark"})
    assert paths.config_file.read_text() == FULL


WRITE_MANY = """
import sys
from pathlib import Path
from registry.config import update_config
from registry.paths import Paths
home, name = Path(sys.argv[1]), sys.argv[2]
paths = Paths(home / "config", home / "data", home / "cache")
sys.stdin.readline()
for number in range(15):
    update_config(paths, {("plugins", f"{name}-{number}", "enabled"): True})
"""


def test_two_instances_that_write_at_once_lose_nothing(paths: Paths, tmp_path: Path) -> None:
    write(paths, FULL)
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITE_MANY, str(tmp_path), name], stdin=subprocess.PIPE)
        for name in ("one", "two")
    ]
    for writer in writers:
        assert writer.stdin is not None
        writer.stdin.write(b"\n")
        writer.stdin.close()
    assert [writer.wait(60) for writer in writers] == [0, 0]
    expected = {"local"} | {f"{name}-{number}" for name in ("one", "two") for number in range(15)}
    assert set(load_config(paths).settings.plugins) == expected
    assert paths.config_file.read_text().startswith(FULL.partition("\n[keys]")[0])


KILLED = """
import os, signal, sys
from pathlib import Path
from registry.config import update_config
from registry.paths import Paths
home = Path(sys.argv[1])
os.replace = lambda *_: os.kill(os.getpid(), getattr(signal, "SIGKILL", signal.SIGTERM))
update_config(Paths(home / "config", home / "data", home / "cache"), {("theme",): "dark"})
"""


def test_a_process_killed_before_the_rename_leaves_the_old_file_and_no_lock(
    paths: Paths, tmp_path: Path
) -> None:
    write(paths, FULL)
    assert run(KILLED, tmp_path).returncode != 0
    assert paths.config_file.read_text() == FULL
    assert update(paths, "theme", to="dark") == FULL.replace('"paper"', '"dark"')


@pytest.mark.parametrize(
    "cache",
    [
        b"",
        b"\xff",
        b"null",
        b"[]",
        b"{}",
        b'{"stamp": 1}',
        b"[" * 100_000,
    ],
)
def test_a_corrupt_cache_is_ignored_and_replaced(paths: Paths, cache: bytes) -> None:
    expected = load(paths, FULL)
    (paths.cache / "config.json").write_bytes(cache)
    assert load_config(paths) == expected
    assert (paths.cache / "config.json").read_bytes() != cache


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"theme": "paper"', b'"theme": 5'),
        (b'"enabled": true', b'"enabled": "x"'),
        (b'"datetime"', b'"what"'),
        (b"2026-01-02T", b"yesterday"),
        (b'"problems": []', b'"problems": [{}]'),
        (b'"history": true, ', b""),
    ],
)
def test_a_cache_with_the_right_stamp_and_wrong_content_is_ignored(
    paths: Paths, old: bytes, new: bytes
) -> None:
    expected = load(paths, FULL)
    cache = paths.cache / "config.json"
    assert old in cache.read_bytes()
    cache.write_bytes(cache.read_bytes().replace(old, new))
    assert load_config(paths) == expected


def test_a_cache_of_another_content_or_version_is_not_used(
    paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    load(paths, FULL)
    assert load(paths, FULL.replace("paper", "sepia")).settings.theme == "sepia"
    cache = paths.cache / "config.json"
    cache.write_bytes(cache.read_bytes().replace(b"sepia", b"stale"))
    assert load_config(paths).settings.theme == "stale"
    monkeypatch.setattr("jackfield.__version__", "999")
    assert load_config(paths).settings.theme == "sepia"


def test_a_cache_that_cannot_be_written_costs_nothing_else(paths: Paths) -> None:
    paths.cache.write_text("a file where the folder should be")
    assert load(paths, FULL).settings.theme == "paper"


LIGHT = """
import sys
from pathlib import Path
from registry.config import load_config
from registry.paths import Paths
home = Path(sys.argv[1])
loaded = load_config(Paths(home / "config", home / "data", home / "cache"))
heavy = {"pydantic", "pydantic_core", "tomlkit", "tomllib", "filelock", "difflib"} & set(sys.modules)
print(loaded.settings.theme, len(loaded.problems), sorted(heavy))
"""


@pytest.mark.parametrize("content", [None, FULL, FULL + "[plugin]\n", "not TOML"])
def test_an_unchanged_or_missing_file_is_read_without_the_heavy_libraries(
    paths: Paths, tmp_path: Path, content: str | None
) -> None:
    if content is not None:
        load(paths, content)
    known = load_config(paths)
    done = run(LIGHT, tmp_path)
    assert done.stdout.strip() == f"{known.settings.theme} {len(known.problems)} []", done.stderr


@pytest.mark.parametrize("depth", [50, 150, 250, 300, 350, 400, 450, 500, 700])
@pytest.mark.parametrize("brackets", ["[]", "{}"])
def test_deep_nesting_never_crashes_and_is_never_lost(paths: Paths, depth: int, brackets: str) -> None:
    opening = brackets[0] if brackets == "[]" else "{a="
    content = f"[plugins.a.options]\nx = {opening * depth}1{brackets[1] * depth}\n"
    loaded = load(paths, content)
    assert load_config(paths) == loaded
    try:
        update_config(paths, {("theme",): "dark"})
    except ConfigError:
        assert paths.config_file.read_text() == content
    else:
        assert content in paths.config_file.read_text()


def test_thousands_of_problems_are_told_in_part(paths: Paths) -> None:
    loaded = load(paths, "".join(f"unknown{number} = 1\n" for number in range(20_000)))
    assert 0 < len(loaded.problems) <= 50

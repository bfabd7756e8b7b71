"""Looks for what must not be published: names that deceive, hidden text, what is not declared or missing."""

from __future__ import annotations

import shutil
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import Final

from registry.errors import JackfieldError
from registry.launch import KEPT
from registry.manifest import Manifest
from registry.marketplace.archive import unpack
from registry.marketplace.entry import Catalogue, Details, Entry, Version
from registry.marketplace.publishing.build import DRAFT, build, read_built
from registry.marketplace.publishing.look_alikes import look_alikes
from registry.marketplace.publishing.package import digest_of
from registry.marketplace.publishing.reading import (
    Named,
    hidden_in,
    is_declared,
    named_in_python,
    named_in_text,
)
from registry.marketplace.publishing.source import (
    PLUGIN_FILE,
    SOURCE_FILE,
    MarketplaceSource,
    PublishError,
    read_marketplace,
    shown,
)

_LARGEST: Final = 2_000_000
_CODE: Final = frozenset({".py", ".js", ".mjs", ".cjs", ".ts", ".sh", ".rb", ".pl", ".lua", ".go", ".rs", ""})
_TEXT: Final = frozenset({".toml", ".json", ".md", ".txt", ".yaml", ".yml", ".cfg", ".html", ".tcss"})


@dataclass(frozen=True, slots=True, order=True)
class Finding:
    """One thing that keeps a marketplace from being published as it is."""

    where: str
    """The plugin, with its version and the file's line where there is one."""
    what: str
    mend: str
    """What to do about it."""


@dataclass(frozen=True, slots=True)
class Taken:
    """What the app has of its own, and nobody else should name something like."""

    plugins: Collection[str] = ()
    """Names of its plugins."""
    commands: Collection[str] = ()
    """Names of its commands: one of a plugin with such a name would never answer."""


NOTHING_TAKEN: Final = Taken()


async def check(folder: Path, *, taken: Taken = NOTHING_TAKEN, against: Path | None = None) -> list[Finding]:
    """Look through a source, or through what `build` wrote.

    Of a source, every version is built into a temporary folder first, so its code is run to be described.

    Args:
        folder: either.
        taken: what the app has of its own.
        against: what was published before, for a source: reused ids and changed versions are found in it.

    Raises:
        PublishError: it is neither.
    """
    if (folder / SOURCE_FILE).is_file():
        return await _check_source(folder, taken, against)
    if (folder / DRAFT).is_dir():
        return check_built(folder, taken=taken)
    raise PublishError(
        f"{shown(folder)} is neither the source of a marketplace nor what `build` makes of one",
        hint=f"A source has a {SOURCE_FILE}.",
    )


async def _check_source(folder: Path, taken: Taken, against: Path | None) -> list[Finding]:
    source = read_marketplace(folder)
    found = [*hidden_texts(source)]
    with TemporaryDirectory(prefix="jackfield-check-") as made:
        out = Path(made, "out")
        if against is not None:
            shutil.copytree(against, out)
        try:
            await build(folder, out)
        except PublishError as error:
            where, mend = shown(error.title), shown(error.hint or "Mend it, then check again.")
            return sorted({*found, Finding(where, shown(error.detail) or "It cannot be built.", mend)})
        found += check_built(out, taken=taken, accepted=source.about.accepted)
    return sorted(set(found))


def check_built(out: Path, *, taken: Taken = NOTHING_TAKEN, accepted: Collection[str] = ()) -> list[Finding]:
    """Look through what `build` wrote; no code is run.

    Args:
        out: the folder.
        taken: what the app has of its own.
        accepted: ids whose likeness to another was judged harmless.

    Raises:
        PublishError: it cannot be read.
    """
    catalogue, details = read_built(out)
    found = [*_names(catalogue, set(taken.plugins), set(accepted))]
    for entry in catalogue.entries:
        found += _missing(entry, details[entry.id])
        for version in entry.versions:
            found += _version(out, entry, version, details[entry.id])
        found += _outranked(entry, details[entry.id], taken)
    return sorted(set(found))


def hidden_texts(source: MarketplaceSource) -> Iterator[Finding]:
    """What cannot be seen in the texts of a source."""
    yield from _hidden(SOURCE_FILE, (source.folder / SOURCE_FILE).read_text("utf-8"))
    for plugin in source.plugins:
        for name in (PLUGIN_FILE, "README.md", "CHANGELOG.md"):
            yield from _hidden(f"{plugin.id}: {name}", plugin.text(name))


def _hidden(where: str, text: str) -> list[Finding]:
    hidden = hidden_in(text)
    if hidden is None:
        return []
    line, what = hidden
    return [
        Finding(f"{where}, line {line}", f"It holds {what}, which cannot be seen.", "Remove the character.")
    ]


def _names(catalogue: Catalogue, builtin: set[str], accepted: set[str]) -> Iterator[Finding]:
    owners: dict[str, set[str]] = {name: {"Jackfield"} for name in builtin}
    for plugin_id in [*(entry.id for entry in catalogue.entries), *catalogue.removed]:
        publisher, _, name = plugin_id.partition("/")
        owners.setdefault(name, set()).add(publisher)
    judged = {plugin_id.partition("/")[2] for plugin_id in accepted}
    for name, publishers in owners.items():
        if len(publishers) > 1 and name not in judged:
            yield _alike(name, name, publishers)
    for one, other in look_alikes(owners):
        publishers = owners[one] | owners[other]
        if len(publishers) > 1 and not {one, other} & judged:
            yield _alike(one, other, publishers)
    publishers = {entry.publisher for entry in catalogue.entries} | {"jackfield"}
    for one, other in look_alikes(publishers):
        if not any(plugin_id.startswith((f"{one}/", f"{other}/")) for plugin_id in accepted):
            yield Finding(
                f"{one} and {other}", "One publisher may be taken for the other.", "Have one renamed."
            )


def _alike(one: str, other: str, publishers: Collection[str]) -> Finding:
    what = f"One may be taken for the other; they are by {' and '.join(sorted(publishers))}."
    mend = f"Rename one, or add its id to `accepted` in {SOURCE_FILE} if no harm can come of it."
    return Finding(f"{one} and {other}", what, mend)


def _missing(entry: Entry, details: Details) -> Iterator[Finding]:
    if not entry.licence:
        yield Finding(entry.id, "It has no licence.", "State one in pyproject.toml or plugin.toml.")
    if not details.readme.strip():
        yield Finding(entry.id, "It has no README.md.", "Say what it does, and what it asks for and why.")
    if not entry.summary:
        yield Finding(entry.id, "It has no summary.", "Give the plugin a `summary`.")


def _outranked(entry: Entry, details: Details, taken: Taken) -> Iterator[Finding]:
    newest = entry.versions[0].version if entry.versions else ""
    known = details.versions.get(newest)
    for command in Manifest.from_json(known.manifest).commands if known else ():
        if command.name in taken.commands:
            what = f"Jackfield has a command /{shown(command.name)} of its own, which comes first."
            yield Finding(f"{entry.id} {newest}", what, "Give the command another name.")


def _version(out: Path, entry: Entry, version: Version, details: Details) -> Iterator[Finding]:
    where = f"{entry.id} {version.version}"
    file = out / version.artefact.path
    if not file.is_file() or digest_of(file) != version.artefact.sha256:
        yield Finding(where, "Its file is missing or has changed.", "Restore it from what was published.")
        return
    manifest = Manifest.from_json(details.versions[version.version].manifest)
    with TemporaryDirectory(prefix="jackfield-check-") as made:
        folder = Path(made)
        try:
            unpack(file, folder)
        except JackfieldError as error:
            yield Finding(where, f"{error.title}. {error.detail}", "Pack it anew, as a new version.")
            return
        yield from _beside_code(folder, where)
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            yield from _file(path, f"{where}: {path.relative_to(folder).as_posix()}", manifest)


def _beside_code(folder: Path, where: str) -> Iterator[Finding]:
    """What no installation takes: files that run at every start, and files that go elsewhere."""
    for path in sorted([*folder.glob("*.pth"), *folder.glob("*.data")]):
        yield Finding(
            f"{where}: {shown(path.name)}",
            "It runs at every start, or goes elsewhere: such a version cannot be installed.",
            "Leave it out of a new version.",
        )


def _file(path: Path, where: str, manifest: Manifest) -> Iterator[Finding]:
    kind = path.suffix.lower()
    if kind not in _CODE | _TEXT or path.stat().st_size > _LARGEST:
        return
    try:
        text = path.read_text("utf-8")
    except UnicodeDecodeError:
        if kind == ".py":
            yield Finding(where, "It is no UTF-8 text.", "Save it as UTF-8.")
        return
    yield from _hidden(where, text)
    if kind not in _CODE or _is_metadata(path):
        return
    try:
        named = named_in_python(text) if kind == ".py" else named_in_text(text)
    except (SyntaxError, ValueError, RecursionError):
        yield Finding(where, "It cannot be read as Python.", "Mend or remove it.")
        return
    yield from _undeclared(where, named, manifest)


def _is_metadata(path: Path) -> bool:
    return any(part.endswith(".dist-info") for part in PurePosixPath(path.as_posix()).parts)


def _undeclared(where: str, named: Named, manifest: Manifest) -> Iterator[Finding]:
    asked = manifest.capabilities
    for host, line in named.hosts.items():
        if not is_declared(host, tuple(asked.hosts)):
            yield Finding(
                f"{where}, line {line}",
                f"It names the host {host}, which is not declared.",
                f'Add "{host}" to capabilities.hosts of a new version, or remove the address.',
            )
    for name, line in named.variables.items():
        if name not in asked.environment and name.upper() not in KEPT and not name.upper().startswith("LC_"):
            yield Finding(
                f"{where}, line {line}",
                f"It reads the environment variable {name}, which is not declared; it is not given to it.",
                f'Add "{name}" to capabilities.environment of a new version.',
            )

"""Builds a marketplace from a folder: every version described in a process of its own, nothing signed yet.

What was published stays as it is: a version never gets another content, an id that was removed is never used
again, and a version is as old as its first publication.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final

from packaging.version import Version as Number
from pydantic import TypeAdapter, ValidationError
from tuf.api.exceptions import RepositoryError

from registry.atomic import write_atomically
from registry.marketplace.entry import Catalogue, Details, Entry, Version, VersionDetails
from registry.marketplace.publishing.describing import Described, Describing
from registry.marketplace.publishing.package import digest_of, same_content
from registry.marketplace.publishing.packing import build_archive
from registry.marketplace.publishing.source import (
    MarketplaceSource,
    PluginSource,
    PublishError,
    explained_validation,
    read_marketplace,
    shown,
)
from registry.marketplace.publishing.wheels import build_wheel
from registry.marketplace.repository import CATALOGUE, details_path, unzipped, zipped

if TYPE_CHECKING:
    from registry.manifest import Manifest

DRAFT: Final = "draft"
"""The folder, in what `build` writes, that `sign` publishes from."""
FILES: Final = "files"


@dataclass(frozen=True, slots=True)
class Built:
    """What building did."""

    catalogue: Catalogue
    new: tuple[str, ...]
    """`publisher/name version` of what was not there before."""


async def build(
    source: Path,
    out: Path,
    *,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    progress: Callable[[str], None] = lambda _: None,
) -> Built:
    """Build a marketplace, on top of what was built into the same folder before.

    Args:
        source: the folder with `marketplace.toml`.
        out: the folder to write to; it becomes the site.
        clock: the time; for tests.
        progress: told the id of each plugin before it is looked at.

    Raises:
        PublishError: the source cannot be published as it is. Nothing of the catalogue was changed.
        OSError: it cannot be written.
    """
    wanted = read_marketplace(source)
    now = clock().replace(microsecond=0)
    before = _Before.read(out)
    _refuse_reuse(wanted, before)
    made: list[tuple[Entry, Details]] = []
    new: list[str] = []
    with TemporaryDirectory(prefix="jackfield-build-") as work:
        for number, plugin in enumerate(wanted.plugins):
            progress(plugin.id)
            one = _Building(plugin, before, out, _made(Path(work, str(number))), now)
            made.append(await one.run())
            new += [f"{plugin.id} {version}" for version in one.new]
    catalogue = _catalogue(wanted, before, tuple(entry for entry, _ in made), now)
    _write_draft(out, catalogue, [details for _, details in made])
    return Built(catalogue, tuple(new))


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


@dataclass(frozen=True, slots=True)
class _Before:
    """What was published until now."""

    catalogue: Catalogue | None
    entries: dict[str, Entry]
    details: dict[str, Details]

    @classmethod
    def read(cls, out: Path) -> _Before:
        draft = out / DRAFT
        if not (draft / CATALOGUE).is_file():
            return cls(None, {}, {})
        try:
            catalogue = Catalogue.model_validate_json(unzipped((draft / CATALOGUE).read_bytes()))
            shards = TypeAdapter(list[Details])
            details = [
                each
                for file in sorted((draft / "details").glob("*.json.gz"))
                for each in shards.validate_json(unzipped(file.read_bytes()))
            ]
        except (OSError, ValueError, RepositoryError) as error:
            raise PublishError(
                "What was built before cannot be read",
                detail=shown(error),
                hint="Restore the folder from what was published last.",
            ) from error
        return cls(
            catalogue, {entry.id: entry for entry in catalogue.entries}, {each.id: each for each in details}
        )


def read_built(out: Path) -> tuple[Catalogue, dict[str, Details]]:
    """What was built: the catalogue, and the details of each plugin.

    Raises:
        PublishError: there is nothing, or it cannot be read.
    """
    before = _Before.read(out)
    if before.catalogue is None:
        raise PublishError(f"Nothing was built in {shown(out)}", hint="Run `jackfield marketplace build`.")
    return before.catalogue, before.details


def _refuse_reuse(wanted: MarketplaceSource, before: _Before) -> None:
    ids = {plugin.id for plugin in wanted.plugins}
    old = before.catalogue.removed if before.catalogue else ()
    for plugin_id in sorted({*old, *wanted.about.removed} & ids):
        raise PublishError(
            f"{plugin_id} was removed, and its id may not be used again",
            detail="Who had installed it would be given somebody else's code under the name that they trust.",
            hint="Give the plugin another name, or take its folder away.",
        )
    for plugin_id in sorted(before.entries.keys() - ids - set(wanted.about.removed)):
        raise PublishError(
            f"{plugin_id} was published, and its folder is gone",
            hint=f'Put it back, or add "{plugin_id}" to `removed` in marketplace.toml.',
        )


class _Building:
    """One plugin on its way into the catalogue."""

    def __init__(self, source: PluginSource, before: _Before, out: Path, work: Path, now: datetime) -> None:
        self._source = source
        self._entry = before.entries.get(source.id)
        self._details = before.details.get(source.id)
        self._out = out
        self._work = work
        self._now = now
        self._licence = self._entry.licence if self._entry else ""
        self.new: list[str] = []

    async def run(self) -> tuple[Entry, Details]:
        versions = {version.version: version for version in self._entry.versions} if self._entry else {}
        details = dict(self._details.versions) if self._details else {}
        published = {version.artefact.sha256 for version in versions.values()}
        describing = Describing(self._source, self._work)
        made = [*await build_wheel(self._source, self._work), *build_archive(self._source, self._work)]
        for file in [*self._source.files(), *made]:
            if digest_of(file) in published:
                continue
            described = await describing.describe(file)
            number = described.manifest.version
            if number in versions:
                self._refuse_change(versions[number], described)
                continue
            versions[number] = self._publish(described)
            details[number] = described.details
            self._licence = described.package.licence or self._licence
            self.new.append(number)
        if not versions:
            raise PublishError(
                f"{self._source.id} has no version",
                hint="Put a wheel or an archive into its folder dist, or a pyproject.toml or a folder "
                "archive beside plugin.toml.",
            )
        return self._finish(versions, details)

    def _refuse_change(self, known: Version, described: Described) -> None:
        """A rebuilt wheel with the same files is the published one; anything else must have a new number."""
        published = self._out / known.artefact.path
        file = described.package.file
        if (
            published.suffix == ".whl" == file.suffix
            and published.is_file()
            and same_content(published, file)
        ):
            return
        raise PublishError(
            f"{self._source.id} {known.version} was published with another content",
            detail=f"{shown(file.name)} has the hash {digest_of(file)[:12]}, published is "
            f"{known.artefact.sha256[:12]}. A version stays what it is.",
            hint="Give it a new version number.",
        )

    def _publish(self, described: Described) -> Version:
        file = described.package.file
        digest = digest_of(file)
        target = self._out / FILES / digest / file.name
        try:
            version = Version.model_validate(
                {
                    "version": described.manifest.version,
                    "artefact": {
                        "path": f"{FILES}/{digest}/{file.name}",
                        "sha256": digest,
                        "size": file.stat().st_size,
                    },
                    "requirements_sha256": described.requirements_sha256,
                    "uploaded_at": self._now,
                    "min_app": self._source.about.min_app,
                    "protocol": described.protocol,
                    "platforms": described.package.platforms,
                    "python": described.package.python,
                }
            )
        except ValidationError as error:
            raise PublishError(
                f"{self._source.id} {shown(described.manifest.version)} cannot be published",
                detail=explained_validation(error),
            ) from error
        if not target.is_file():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, target)
        return version

    def _finish(
        self, versions: dict[str, Version], details: dict[str, VersionDetails]
    ) -> tuple[Entry, Details]:
        about = self._source.about
        for number in [*about.yanked, *about.security]:
            if number not in versions:
                raise PublishError(
                    f"plugin.toml of {self._source.id} names the version {number}, which is not there"
                )
        ordered = [
            version.model_copy(
                update={
                    "yanked": about.yanked.get(version.version, ""),
                    "security": version.version in about.security,
                }
            )
            for version in sorted(versions.values(), key=lambda each: Number(each.version), reverse=True)
        ]
        newest = _manifest_of(details[ordered[0].version])
        entry = Entry(
            id=self._source.id,
            summary=newest.summary,
            tags=tuple(sorted(set(about.tags))),
            kinds=newest.kinds,
            contributions=_contributions(newest),
            capabilities=newest.capabilities.kinds,
            licence=about.licence or self._licence,
            verified=about.verified,
            status=about.status,
            status_reason=about.status_reason,
            versions=tuple(ordered),
        )
        more = Details(
            id=entry.id,
            readme=self._source.text("README.md"),
            changelog=self._source.text("CHANGELOG.md"),
            links=about.links,
            versions=details,
        )
        return entry, more


def _manifest_of(details: VersionDetails) -> Manifest:
    from registry.manifest import Manifest

    return Manifest.from_json(details.manifest)


def _contributions(manifest: Manifest) -> tuple[str, ...]:
    return (
        *(
            title
            for provider in manifest.providers
            for title in dict.fromkeys((provider.name, provider.title))
        ),
        *(f"/{command.name}" for command in manifest.commands),
        *manifest.hooks,
    )


def _catalogue(
    wanted: MarketplaceSource, before: _Before, entries: Sequence[Entry], now: datetime
) -> Catalogue:
    """The catalogue; made when the last one was, if nothing has changed since."""
    about, old = wanted.about, before.catalogue
    made = Catalogue(
        name=about.name,
        title=about.title,
        description=about.description,
        made_at=old.made_at if old else now,
        entries=tuple(sorted(entries, key=lambda entry: entry.id)),
        revocations=about.revocations,
        removed=tuple(sorted({*(old.removed if old else ()), *about.removed})),
    )
    return made if made == old else made.model_copy(update={"made_at": now})


def _write_draft(out: Path, catalogue: Catalogue, details: Iterable[Details]) -> None:
    draft = out / DRAFT
    shards: dict[str, list[Details]] = {}
    for each in details:
        shards.setdefault(details_path(each.id), []).append(each)
    for path, content in shards.items():
        rows = [each.model_dump(mode="json") for each in sorted(content, key=lambda each: each.id)]
        write_atomically(draft / path, zipped(json.dumps(rows, ensure_ascii=False).encode()), 0o644)
    for file in (draft / "details").glob("*.json.gz"):
        if file.relative_to(draft).as_posix() not in shards:
            file.unlink()
    write_atomically(draft / CATALOGUE, zipped(catalogue.model_dump_json().encode()), 0o644)


__all__ = ["DRAFT", "FILES", "Built", "PublishError", "build", "read_built"]

"""What installing a version would mean; nothing is changed by finding out."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from registry.errors import JackfieldError
from registry.marketplace.choosing import choose_version
from registry.marketplace.consent import Ask, Consent, asks_of, more_than
from registry.marketplace.entry import Revocation, Severity
from registry.marketplace.finding import Found
from registry.marketplace.grants import grant_of
from registry.marketplace.installed import InstalledPlugin, InstalledVersion
from registry.marketplace.lock import requirement_lines
from registry.marketplace.manifests import stored_manifest
from registry.marketplace.repository import Marketplace
from registry.marketplace.sources import read_sources
from registry.text import safe_text

if TYPE_CHECKING:
    from registry.manifest import Manifest
    from registry.marketplace.entry import Version
    from registry.marketplace.rules import Obstacle, Rules
    from registry.paths import Paths


@dataclass(frozen=True, slots=True)
class Plan:
    """What installing a version would mean."""

    found: Found
    version: Version
    content: InstalledVersion
    """What would be written down of it; its tree is known once it is there."""
    manifest: Manifest
    asks: tuple[Ask, ...]
    more: tuple[Ask, ...]
    """What of it was not agreed to before."""
    obstacles: tuple[Obstacle, ...]
    """Why it cannot be done; empty when it can."""
    before: InstalledPlugin | None
    """What is installed of it now."""
    passed_over: tuple[tuple[str, str], ...] = ()
    """Newer versions that cannot be installed, each with the reason."""
    locked: bool = False
    """Whether a lock file names exactly this version."""

    @property
    def id(self) -> str:
        """The plugin."""
        return self.found.entry.id

    @property
    def continued(self) -> InstalledPlugin | None:
        """What is installed of it if it came from this very marketplace: what was agreed to carries on."""
        return _continued(self.before, self.found)

    @property
    def is_needed(self) -> bool:
        """Whether another version than this one is current, or one from another marketplace."""
        return self.continued is None or not self.continued.current.is_same(self.content)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What has to be known of what it would replace."""
        if self.before is None or self.continued is not None:
            return ()
        new, old = self.found.marketplace.source.name, self.before.marketplace
        which = f"{new} in place of {old}" if new != old else f"one with other keys, also called {new}"
        words = (
            f"It comes from another marketplace than the installed one: {which}. It may be somebody else's. "
            "Nothing that you agreed to counts for it, and it will be off."
        )
        return (safe_text(words, single_line=True),)

    def check_still_holds(self, there: InstalledPlugin | None, consent: Consent | None) -> None:
        """Agreements carry on only from what the plan went by.

        Args:
            there: what is installed of it by now.
            consent: what was agreed to for it since.

        Raises:
            JackfieldError: something else is installed, and not just by somebody who agreed to the same.
        """
        if _bound_to(there) == _bound_to(self.before):
            return
        source = self.found.marketplace.source
        if there and consent and there.is_from(source) and there.reviewed and there.grant == consent.hash:
            return
        raise JackfieldError(
            f"{self.id} was changed by another Jackfield meanwhile",
            detail="What was asked for goes by what was installed before.",
            hint="Nothing was changed. Try again.",
        )


def _bound_to(plugin: InstalledPlugin | None) -> tuple[str, ...] | None:
    return (plugin.grant, plugin.marketplace, plugin.fingerprint) if plugin else None


async def make_plan(
    paths: Paths,
    found: Found,
    rules: Rules,
    before: InstalledPlugin | None,
    version: str | None,
    *,
    locked: bool,
) -> Plan:
    """What installing a version would mean; see `Installer.plan`.

    Raises:
        JackfieldError: there is no such version, or its details cannot be had or are damaged.
    """
    continued = _continued(before, found)
    ignore_age = continued.ignore_age if continued else False
    judge = partial(rules.obstacles, found.entry, locked=locked, ignore_age=ignore_age)
    passed_over: list[tuple[str, str]] = []
    chosen = choose_version(found.entry, version)
    if version is None:
        chosen, passed_over = _newest_without(judge, found, chosen)
    details = (await found.marketplace.details(found.entry.id)).versions.get(chosen.version)
    if details is None:
        raise JackfieldError(f"The marketplace says nothing of {found.entry.id} {chosen.version}")
    content = InstalledVersion(
        version=chosen.version,
        tree="",
        artefact=chosen.artefact.sha256,
        requirements=details.requirements,
        installed_at="",
        manifest=details.manifest,
        launch=details.launch,
    )
    manifest = _checked_manifest(paths, found, chosen, content)
    asks = asks_of(manifest, content.requirements)
    more = more_than(continued.granted() if continued else None, asks)
    obstacles = judge(chosen)
    return Plan(found, chosen, content, manifest, asks, more, obstacles, before, tuple(passed_over), locked)


def _continued(before: InstalledPlugin | None, found: Found) -> InstalledPlugin | None:
    return before if before is not None and before.is_from(found.marketplace.source) else None


def withdrawn_elsewhere(paths: Paths, plugin: InstalledPlugin) -> tuple[Revocation, ...]:
    """What the marketplace that a plugin came from withdraws of it, also what it had when it was still here.

    It needs no network, but time.

    Raises:
        ConfigError: the list of marketplaces cannot be read.
    """
    known: list[Revocation] = []
    if plugin.revoked:
        known.append(
            Revocation(
                id=plugin.id,
                versions=(plugin.current.version,),
                severity=Severity.DISABLE,
                reason=plugin.revoked,
            )
        )
    for source in read_sources(paths):
        if plugin.is_from(source) and (cached := Marketplace(source, paths).read_cached(())):
            known += cached.catalogue.revocations
    return tuple(known)


def _newest_without(
    judge: Callable[[Version], tuple[Obstacle, ...]], found: Found, newest: Version
) -> tuple[Version, list[tuple[str, str]]]:
    """The newest version that may be installed, and why newer ones may not; the newest if none may."""
    from packaging.version import Version as Number

    passed_over: list[tuple[str, str]] = []
    numbered = [(Number(version.version), version) for version in found.entry.versions]
    for number, version in sorted(numbered, key=lambda each: each[0], reverse=True):
        if number > Number(newest.version) or (number.is_prerelease and version is not newest):
            continue
        obstacles = judge(version)
        if not obstacles:
            return version, passed_over
        passed_over.append((version.version, " ".join(obstacle.reason for obstacle in obstacles)))
    return newest, []


def _checked_manifest(paths: Paths, found: Found, version: Version, content: InstalledVersion) -> Manifest:
    """What the catalogue says of a version, as it will be registered, checked against its entry.

    Raises:
        JackfieldError: it does not fit together, or is that of another plugin.
    """
    from registry.manifest import Manifest

    entry = found.entry
    try:
        said = Manifest.from_json({**content.manifest, "launch": None})
        if (said.name, said.version) != (entry.name, version.version):
            raise ValueError(f"it is the manifest of {said.name} {said.version}")
        closure = content.requirements
        digest = hashlib.sha256(closure.encode()).hexdigest() if closure else None
        if digest != version.requirements_sha256:
            raise ValueError("its dependencies are not those of the catalogue")
        requirement_lines(closure)
        grant_of(content)
        manifest = Manifest.from_json(stored_manifest(paths, InstalledPlugin(entry.id, "", content)))
        if said.problem:
            raise ValueError(said.problem)
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise JackfieldError(
            f"What the marketplace says of {entry.id} {version.version} is damaged",
            detail=safe_text(str(error), single_line=True, limit=300),
            hint="Nothing was changed. Tell the publisher.",
        ) from error
    return manifest

"""What may be installed here and now: names, lists, status, age, and whether it would run on this machine."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from registry.marketplace.entry import Entry, Revocation, Severity, Status, Version
from registry.marketplace.kept import OLD_AFTER_DAYS
from registry.names import canonical

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from registry.marketplace.machine import Machine

MIN_AGE: Final = timedelta(hours=72)
"""How long a version of somebody else is left alone: most bad ones are found within days."""


@dataclass(frozen=True, slots=True)
class Obstacle:
    """Why something cannot be installed."""

    reason: str
    hint: str = ""
    ready_at: datetime | None = None
    """Until when it only has to wait, if that is all; the user may choose not to."""

    @property
    def age(self) -> bool:
        """Whether it only has to wait."""
        return self.ready_at is not None


@dataclass(frozen=True, slots=True)
class Rules:
    """What decides, apart from the user.

    A name in `allow` or `block` is a publisher, or `publisher/name`. In a catalogue a name has one spelling;
    however it is written in a list, that one is meant.
    """

    machine: Machine
    builtin_names: Collection[str] = ()
    taken: Mapping[str, str] = field(default_factory=dict)
    """Names that others have here, each with who has it; for a plugin from a marketplace its id."""
    allow: Sequence[str] = ()
    """When it names anything, nothing else may come in."""
    block: Sequence[str] = ()
    revocations: Sequence[Revocation] = ()
    min_age: timedelta = MIN_AGE
    catalogue_is_old: bool = False
    """Whether the catalogue has not been renewed for so long that it may not be believed for new plugins."""
    now: datetime | None = None

    def obstacles(
        self, entry: Entry, version: Version, *, locked: bool = False, ignore_age: bool = False
    ) -> tuple[Obstacle, ...]:
        """Everything that keeps this version out, the weightiest first."""
        found = [
            *self._about_the_name(entry),
            *self._about_its_standing(entry, version, locked=locked),
            *(Obstacle(reason, hint) for reason, hint in self.machine.misfits(version)),
        ]
        if not locked and not ignore_age:
            found += self._about_its_age(version)
        return tuple(found)

    def obstacles_to_kept(self, entry: Entry, number: str) -> tuple[Obstacle, ...]:
        """Everything that keeps out a version that is here already; no catalogue need have it any more."""
        version = entry.version(number)
        if version is not None:
            return self.obstacles(entry, version, locked=True)
        return (*self._about_the_name(entry), *self._about_its_safety(entry, number))

    def _about_the_name(self, entry: Entry) -> list[Obstacle]:
        if entry.name in self.builtin_names:
            return [Obstacle(f"A plugin that is part of Jackfield is named {entry.name}.")]
        owner = self.taken.get(entry.name, entry.id)
        if owner != entry.id:
            return [
                Obstacle(
                    f"The name {entry.name} belongs to {owner} here, and with it data and accounts.",
                    "Remove that one with its data and secrets first.",
                )
            ]
        names = (entry.publisher, entry.id)
        wanted = [canonical(name) for name in self.allow]
        unwanted = [canonical(name) for name in self.block]
        if any(name in unwanted for name in names):
            return [Obstacle(f"Your configuration blocks {entry.id}.", "See [marketplaces] in config.toml.")]
        if wanted and not any(name in wanted for name in names):
            return [
                Obstacle(
                    f"Your configuration does not allow {entry.id}.", "See [marketplaces] in config.toml."
                )
            ]
        return []

    def _about_its_standing(self, entry: Entry, version: Version, *, locked: bool) -> list[Obstacle]:
        found = self._about_its_safety(entry, version.version)
        if version.yanked and not locked:
            found.append(Obstacle(f"This version was withdrawn: {version.yanked}", "Choose another version."))
        if self.catalogue_is_old and not locked:
            found.append(
                Obstacle(
                    f"The catalogue was not renewed for more than {OLD_AFTER_DAYS:g} days.",
                    "Refresh the marketplace first.",
                )
            )
        return found

    def _about_its_safety(self, entry: Entry, number: str) -> list[Obstacle]:
        found = [
            Obstacle(f"It was revoked: {revocation.reason}")
            for revocation in withdrawing(self.revocations, entry.id, number)
        ]
        if entry.status is Status.QUARANTINED:
            found.append(Obstacle(f"It is held back as unsafe: {entry.status_reason or 'no reason given'}."))
        return found

    def _about_its_age(self, version: Version) -> list[Obstacle]:
        if version.security:
            return []
        ready = version.uploaded_at + self.min_age
        if ready <= (self.now or datetime.now(UTC)):
            return []
        hours = self.min_age.total_seconds() / 3600
        return [
            Obstacle(
                f"It is younger than {hours:g} hours, within which most bad versions are found. "
                f"It can be installed from {ready.astimezone():%Y-%m-%d %H:%M}.",
                "Wait, or choose to install it now.",
                ready_at=ready,
            )
        ]

    def warnings(self, entry: Entry, version: Version) -> tuple[str, ...]:
        """What should be known though it keeps nothing out."""
        found: list[str] = []
        if entry.status in (Status.DEPRECATED, Status.ARCHIVED):
            reason = f": {entry.status_reason}" if entry.status_reason else ""
            found.append(f"It is {entry.status.value}{reason}.")
        if not entry.verified:
            found.append(f"The marketplace has not checked who {entry.publisher} is.")
        found += [
            f"Its marketplace warns: {revocation.reason}"
            for revocation in revoking(self.revocations, entry.id, version.version)
            if revocation.severity is Severity.WARN
        ]
        return tuple(found)


def revoking(revocations: Sequence[Revocation], plugin_id: str, version: str) -> list[Revocation]:
    """What of the revocations concerns a version."""
    return [
        revocation
        for revocation in revocations
        if revocation.id == plugin_id and (not revocation.versions or version in revocation.versions)
    ]


def withdrawing(revocations: Sequence[Revocation], plugin_id: str, version: str) -> list[Revocation]:
    """What of them keeps a version from running, as against a mere warning."""
    concerned = revoking(revocations, plugin_id, version)
    return [revocation for revocation in concerned if revocation.severity is not Severity.WARN]

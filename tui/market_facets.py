"""What of the marketplace's list is shown, and in which order."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from registry.marketplace.catalogue_index import Sort

if TYPE_CHECKING:
    from registry.marketplace.catalogue_index import CatalogueIndex
    from registry.marketplace.rows import Row

KIND_WORDS: Final = {
    "provider": "providers",
    "auth": "sign-ins",
    "command": "commands",
    "hook": "hooks",
}
RUNTIME_WORDS: Final = {"app": "in the app's process", "process": "in a process of its own"}
ONLY_WORDS: Final = {
    "verified": "publisher checked",
    "compatible": "fits this machine",
    "installed": "installed",
    "updates": "has an update",
}
SORT_WORDS: Final = {Sort.BEST: "best match", Sort.NAME: "name", Sort.NEWEST: "newest"}


@dataclass(frozen=True, slots=True)
class Facets:
    """The choices of the user; nothing chosen shows everything."""

    kinds: frozenset[str] = frozenset()
    runtime: str = ""
    """A key of `RUNTIME_WORDS`, or empty for both."""
    only: frozenset[str] = frozenset()
    """Keys of `ONLY_WORDS`."""
    sort: Sort = Sort.BEST

    @property
    def words(self) -> str:
        """The choices in words; empty when nothing is chosen."""
        said = [word for kind, word in KIND_WORDS.items() if kind in self.kinds]
        said += [RUNTIME_WORDS[self.runtime]] if self.runtime else []
        said += [word for name, word in ONLY_WORDS.items() if name in self.only]
        return ", ".join(said)

    def toggled(self, choice: str) -> Facets:
        """With one choice changed; `choice` is a key of one of the tables above."""
        if choice in KIND_WORDS:
            return replace(self, kinds=self.kinds ^ {choice})
        if choice in RUNTIME_WORDS:
            return replace(self, runtime="" if self.runtime == choice else choice)
        if choice in ONLY_WORDS:
            return replace(self, only=self.only ^ {choice})
        return replace(self, sort=Sort(choice))

    def has(self, choice: str) -> bool:
        """Whether it is chosen."""
        return choice in self.kinds or choice in self.only or choice in (self.runtime, self.sort.value)

    def search(self, index: CatalogueIndex, text: str) -> list[Row]:
        """The rows that fit what was typed and chosen, in order."""
        rows = index.search(
            text,
            kinds=self.kinds,
            verified="verified" in self.only,
            compatible="compatible" in self.only,
            updates="updates" in self.only,
            sort=self.sort,
        )
        if "installed" in self.only:  # what is part of the app is here too
            rows = [row for row in rows if not row.marketplace or index.is_installed(row)]
        if self.runtime:
            rows = [row for row in rows if row.runtime == self.runtime]
        return rows

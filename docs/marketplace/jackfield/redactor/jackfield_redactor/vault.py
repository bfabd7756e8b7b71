"""Which placeholder stands for which secret, in the memory of this process only."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from typing import Final

from .shapes import pattern

OPENING: Final = "{{secret-"
"""How every placeholder begins: braces, since models repeat such a name as it stands."""
LENGTH: Final = len(OPENING) + 12 + 2
_PLACEHOLDER: Final = re.compile(r"\{\{secret-([0-9a-f]{12})\}\}")
_MOST: Final = 10_000


class Vault:
    """Hides secrets and shows them again.

    A secret has one placeholder as long as this process lives. It is made with a key of this process, so
    that nobody can tell the secret from it, or name one that they were not given.

    Args:
        emails: whether addresses of e-mail are secrets too.
    """

    def __init__(self, *, emails: bool = False) -> None:
        self._pattern = pattern(emails=emails)
        self._key = secrets.token_bytes(32)
        self._known: dict[str, str] = {}

    def hide(self, text: str) -> str:
        """The text with placeholders in place of secrets."""
        return self._pattern.sub(self._placeholder, text)

    def show(self, text: str) -> str:
        """The text with the secrets that its placeholders stand for; unknown ones stay."""
        return _PLACEHOLDER.sub(lambda found: self._known.get(found[0], found[0]), text)

    def _placeholder(self, found: re.Match[str]) -> str:
        digest = hmac.new(self._key, found[0].encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()
        name = f"{OPENING}{digest[:12]}}}}}"
        self._known.pop(name, None)
        self._known[name] = found[0]  # the last to be forgotten
        if len(self._known) > _MOST:
            self._known.pop(next(iter(self._known)))
        return name

"""Why something failed, in words that a person understands."""

from __future__ import annotations

from pathlib import Path

import pytest

from registry.errors import reason_of


@pytest.mark.parametrize(
    ("error", "file", "words"),
    [
        (FileNotFoundError(2, "No such file or directory", "/a/b"), None, "/a/b: No such file or directory"),
        (
            FileNotFoundError(2, "No such file or directory", "/a/b"),
            Path("/c"),
            "/a/b: No such file or directory",
        ),
        (PermissionError(13, "Permission denied"), Path("/c"), "/c: Permission denied"),
        (OSError("the disk is full"), None, "the disk is full"),
        (ValueError("not\nthis \x1b[2Jway"), Path("/c"), "/c: not this way"),
    ],
)
def test_an_error_of_the_system_is_told_in_words(error: Exception, file: Path | None, words: str) -> None:
    assert reason_of(error, file) == words

"""Reads a plugin's code without running it: which hosts and variables it names, what it hides."""

from __future__ import annotations

import ast
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from registry.text import safe_text

_ADDRESS: Final = re.compile(r"\b(?:https?|wss?)://(?:[^/\s@\"'`]*@)?([A-Za-z0-9.-]+)(:[0-9]{1,5})?")
_VARIABLE: Final = re.compile(r"\bprocess\.env(?:\.([A-Za-z_]\w*)|\[\s*['\"]([A-Za-z_]\w*)['\"])")
_EXAMPLES: Final = re.compile(r"(^|\.)(example(\.(com|net|org))?|test|invalid)$")
"""Names that are nobody's (RFC 2606)."""


@dataclass(slots=True)
class Named:
    """What code names, each with the line where it does so first."""

    hosts: dict[str, int] = field(default_factory=dict)
    variables: dict[str, int] = field(default_factory=dict)


def named_in_python(text: str) -> Named:
    """What a Python module names outside of its documentation.

    Raises:
        SyntaxError, ValueError: it is no Python.
    """
    tree = ast.parse(text)
    documentation = {id(node) for node in _documentation(tree)}
    found = Named()
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in documentation:
            _add_hosts(found, node.value, node.lineno)
        name = _variable(node)
        if name is not None:
            found.variables.setdefault(name, getattr(node, "lineno", 1))
    return found


def named_in_text(text: str) -> Named:
    """What code in any other language names, comments included."""
    found = Named()
    for number, line in enumerate(text.splitlines(), 1):
        _add_hosts(found, line, number)
        for match in _VARIABLE.finditer(line):
            found.variables.setdefault(match.group(1) or match.group(2), number)
    return found


def hidden_in(text: str) -> tuple[int, str] | None:
    """The first line with something that cannot be seen or changes the order of what is, and what it is."""
    plain = re.sub(r"\r\n?|[\f\v\x1c-\x1e\x85\u2028\u2029]", "\n", text.removeprefix("\ufeff"))
    safe = safe_text(plain)
    if safe == plain:
        return None
    pairs = zip(plain, f"{safe}\0", strict=False)
    at = next((at for at, (one, other) in enumerate(pairs) if one != other), len(plain) - 1)
    character = plain[at]
    name = unicodedata.name(character, "a control character")
    return plain.count("\n", 0, at) + 1, f"U+{ord(character):04X} {name}"


def is_declared(host: str, declared: tuple[str, ...]) -> bool:
    """Whether a host is one of those that a plugin says it calls."""
    plain = host.partition(":")[0]
    for allowed in declared:
        name = allowed if ":" in allowed else allowed.partition(":")[0]
        subject = host if ":" in allowed else plain
        if subject == name or (name.startswith("*.") and subject.endswith(name[1:])):
            return True
    return False


def _add_hosts(found: Named, text: str, line: int) -> None:
    for match in _ADDRESS.finditer(text):
        host = match.group(1).rstrip(".").lower()
        if host and not _EXAMPLES.search(host):
            found.hosts.setdefault(host + (match.group(2) or ""), line)


def _documentation(tree: ast.AST) -> Iterator[ast.AST]:
    """Texts that stand alone: they do nothing."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            yield node.value


def _variable(node: ast.AST) -> str | None:
    """The variable that an expression reads: `os.environ["X"]`, `environ.get("X")`, `getenv("X")`."""
    if isinstance(node, ast.Subscript) and _is_named(node.value, "environ"):
        return _text(node.slice)
    if isinstance(node, ast.Call) and node.args:
        called = node.func
        if _is_named(called, "getenv") or (
            isinstance(called, ast.Attribute) and _is_named(called.value, "environ")
        ):
            return _text(node.args[0])
    return None


def _is_named(node: ast.AST, name: str) -> bool:
    return (isinstance(node, ast.Attribute) and node.attr == name) or (
        isinstance(node, ast.Name) and node.id == name
    )


def _text(node: ast.AST) -> str | None:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None

"""Key bindings: which there are, and which keys the user put in their place."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches

from textual.binding import Binding
from textual.dom import DOMNode
from textual.keys import Keys

from registry.text import safe_text

FIXED = ("app.quit", "app.help")
"""Bindings that cannot be moved: a user must always find help and the way out."""


@dataclass(frozen=True, slots=True)
class Section:
    """The bindings of one part of the screen."""

    title: str
    bindings: tuple[Binding, ...]


def sections(nodes: Iterable[DOMNode], keymap: Mapping[str, str]) -> list[Section]:
    """The bindings of these nodes by part, with the user's keys in place; each class once.

    The app's own bindings have an id; those that its widgets take over from Textual are left out.
    """
    return class_sections((type(node) for node in nodes), keymap)


def class_sections(classes: Iterable[type[DOMNode]], keymap: Mapping[str, str]) -> list[Section]:
    """Like `sections`, for parts that need not be on the screen."""
    found: list[Section] = []
    for part in dict.fromkeys(classes):
        bindings = tuple(_own_bindings(part, keymap))
        if bindings:
            found.append(Section(part.BINDING_GROUP_TITLE or part.__name__, bindings))
    return found


def _own_bindings(node_class: type, keymap: Mapping[str, str]) -> Iterable[Binding]:
    """Those of the class and of what of the app it is built on, its own first."""
    own = [base for base in node_class.__mro__ if base.__module__.startswith("tui.")]
    taken: set[str] = set()
    for base in own:
        here = [binding for binding in Binding.make_bindings(base.__dict__.get("BINDINGS", [])) if binding.id]
        for binding in here:
            key = keymap.get(binding.id or "")
            if binding.key not in taken:  # else a class that is built on it does something else with the key
                yield binding.with_key(key) if key else binding
        taken |= {binding.key for binding in here}
        if not base.__dict__.get("_inherit_bindings", True):
            return


def check_keymap(wanted: Mapping[str, str], known: Iterable[Binding]) -> tuple[dict[str, str], list[str]]:
    """The part of a keymap that can be used, and in plain words what is wrong with the rest.

    Textual itself ignores an unknown id and unbinds a key that does not exist, without a word.
    """
    ids = {binding.id for binding in known if binding.id}
    good: dict[str, str] = {}
    problems: list[str] = []
    for binding_id, key in wanted.items():
        problem = _problem(binding_id, key, ids, good)
        if problem:
            problems.append(problem)
        else:
            good[binding_id] = key
    return good, problems


def _problem(binding_id: str, key: str, ids: set[str], good: Mapping[str, str]) -> str:
    shown = safe_text(binding_id, single_line=True, limit=60)
    if binding_id not in ids:
        near = get_close_matches(binding_id, ids, n=1)
        return f"There is no binding {shown}." + (f" Is {near[0]} meant?" if near else " F1 lists them.")
    if binding_id in FIXED:
        return f"{shown} keeps its key."
    bad = [part for part in key.split(",") if not _is_key(part.strip())]
    if bad:
        wrong = safe_text(bad[0], single_line=True, limit=30)
        return f"{shown}: {wrong!r} is no key. Keys are named as ctrl+r or f5."
    for other, other_key in good.items():
        if set(key.split(",")) & set(other_key.split(",")):
            return f"{shown}: {key} is taken by {other}."
    return ""


def _is_key(name: str) -> bool:
    *modifiers, key = name.split("+") if name != "+" else ["+"]
    if not set(modifiers) <= {"ctrl", "shift", "alt"}:
        return False
    names = {member.value for member in Keys}
    return len(key) == 1 or key in names or (key.startswith("f") and key[1:].isdigit())

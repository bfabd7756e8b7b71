"""`jackfield completion`: what a shell needs to complete commands and options, made from the parser.

A shell asks nobody while it completes: the words are in the script, so it is made anew after an update.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator
from typing import Final, Literal, NamedTuple, TypeAlias

Shell: TypeAlias = Literal["bash", "zsh", "fish"]
SHELLS: Final[tuple[Shell, ...]] = ("bash", "zsh", "fish")


class Node(NamedTuple):  # no dataclass: to import what makes one takes as long as all else here
    """One command, with what may follow it."""

    path: tuple[str, ...]
    """The words before; empty for `jackfield` alone."""
    commands: tuple[tuple[str, str], ...]
    """Names of its commands, each with its help."""
    options: tuple[tuple[str, str], ...]
    """Names of its options, each with its help."""
    choices: tuple[tuple[str, tuple[str, ...]], ...]
    """What may follow some of its options."""


def completion_script(shell: Shell, parser: argparse.ArgumentParser) -> str:
    """The script for a shell, to be read at its start."""
    nodes = list(_nodes(parser, ()))
    return {"bash": _bash, "zsh": _zsh, "fish": _fish}[shell](nodes)


def _nodes(parser: argparse.ArgumentParser, path: tuple[str, ...]) -> Iterator[Node]:
    commands: list[tuple[str, str]] = []
    options: list[tuple[str, str]] = []
    choices: list[tuple[str, tuple[str, ...]]] = []
    below: dict[str, argparse.ArgumentParser] = {}
    for action in parser._actions:  # noqa: SLF001 - argparse has no other way to tell what it parses
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001
            helps = {choice.dest: choice.help or "" for choice in action._choices_actions}  # noqa: SLF001
            commands += [(name, helps.get(name, "")) for name in action.choices]
            below |= action.choices
            continue
        options += [(name, action.help or "") for name in action.option_strings if name.startswith("--")]
        if action.choices:
            words = tuple(str(choice) for choice in action.choices)
            if action.option_strings:
                choices += [(name, words) for name in action.option_strings]
            else:
                commands += [(word, action.help or "") for word in words]
    yield Node(path, tuple(commands), tuple(options), tuple(choices))
    for name, each in below.items():
        yield from _nodes(each, (*path, name))


def _bash(nodes: list[Node]) -> str:
    cases: list[str] = []
    for node in nodes:
        words = " ".join(name for name, _ in (*node.commands, *node.options))
        for option, values in node.choices:
            cases.append(f'    "{" ".join(node.path)}:{option}") words="{" ".join(values)}" ;;')
        cases.append(f'    "{" ".join(node.path)}:"*) words="{words}" ;;')
    paths = "|".join(f'"{" ".join(node.path)}"' for node in nodes if node.path)
    lines = "\n".join(cases)
    return f"""\
# bash completion of jackfield; eval "$(jackfield completion bash)"
_jackfield() {{
  local path="" word words="" at
  for ((at = 1; at < COMP_CWORD; at++)); do
    word="${{COMP_WORDS[at]}}"
    case "${{path:+$path }}$word" in
    {paths}) path="${{path:+$path }}$word" ;;
    esac
  done
  case "$path:${{COMP_WORDS[COMP_CWORD - 1]}}" in
{lines}
  esac
  COMPREPLY=($(compgen -W "$words" -- "${{COMP_WORDS[COMP_CWORD]}}"))
  [[ ${{#COMPREPLY[@]}} -gt 0 ]] || compopt -o default 2>/dev/null
}}
complete -F _jackfield jackfield
"""


def _zsh(nodes: list[Node]) -> str:
    cases: list[str] = []
    for node in nodes:
        path = " ".join(node.path)
        for option, values in node.choices:
            cases.append(f'    "{path}:{option}") found=({" ".join(_quoted(value) for value in values)}) ;;')
        described = [f"{name}:{_plain(text)}" for name, text in (*node.commands, *node.options)]
        cases.append(f'    "{path}:"*) found=({" ".join(_quoted(each) for each in described)}) ;;')
    paths = "|".join(f'"{" ".join(node.path)}"' for node in nodes if node.path)
    lines = "\n".join(cases)
    return f"""\
#compdef jackfield
# zsh completion of jackfield; eval "$(jackfield completion zsh)"
_jackfield() {{
  local path_="" word at
  local -a typed found
  typed=("${{(@)words[2,CURRENT-1]}}")
  local before="${{words[CURRENT-1]}}"
  for word in "${{typed[@]}}"; do
    case "${{path_:+$path_ }}$word" in
    {paths}) path_="${{path_:+$path_ }}$word" ;;
    esac
  done
  case "$path_:$before" in
{lines}
  esac
  _describe -t jackfield jackfield found || _files
}}
compdef _jackfield jackfield
"""


def _fish(nodes: list[Node]) -> str:
    lines = [
        "# fish completion of jackfield; jackfield completion fish | source",
        "function __jackfield_at",
        "    set -l path",
        "    for word in (commandline -opc)[2..-1]",
        '        if contains -- (string join " " $path $word) $__jackfield_paths',
        "            set -a path $word",
        "        end",
        "    end",
        '    test "$path" = "$argv"',
        "end",
        "set -g __jackfield_paths " + " ".join(_quoted(" ".join(node.path)) for node in nodes if node.path),
    ]
    for node in nodes:
        when = _quoted(" ".join(("__jackfield_at", *node.path)))
        values = dict(node.choices)
        for name, text in node.commands:
            lines.append(f"complete -c jackfield -f -n {when} -a {_quoted(name)} -d {_quoted(_plain(text))}")
        for name, text in node.options:
            more = f" -x -a {_quoted(' '.join(values[name]))}" if name in values else ""
            long = name.removeprefix("--")
            lines.append(f"complete -c jackfield -n {when} -l {long}{more} -d {_quoted(_plain(text))}")
    return "\n".join(lines) + "\n"


def _plain(text: str) -> str:
    return re.sub(r"[:%\[\]`\"']", "", text).replace("\n", " ")


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"

"""The subcommands of `jackfield`: what they take, their help, and which code each runs."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace, RawDescriptionHelpFormatter
from typing import TYPE_CHECKING, Any, NoReturn

from registry.errors import JackfieldError
from tui.cli.auth_options import add_auth
from tui.cli.marketplace_options import add_marketplace
from tui.cli.output import CommandError, Exit, line, show_error
from tui.cli.plugins_options import add_plugins

if TYPE_CHECKING:
    from argparse import _SubParsersAction

_DESCRIPTION = "Chat with language models in the terminal. Without a command, the app starts."
_EPILOG = """\
examples:
  jackfield                                  open the app
  jackfield ask "Why is the sky blue?"       ask once, answer on standard output
  git diff | jackfield ask "Review this:"    a question about what comes in
  jackfield ask --attach cat.png "Who?"      a question about a file
  jackfield ask --model local "Hello"        choose who answers
  jackfield plugins search WORDS             look for a plugin in marketplaces
  jackfield plugins enable NAME              switch a plugin on
  jackfield auth login                       sign in to a provider

exit codes:
  0    done
  1    the answer or the command failed; standard error says why
  2    the command line is wrong, names what is not there, or nobody is there
       to agree to something
  3    there is no such model, or no provider is on
  130  stopped by Ctrl-C (143 by SIGTERM, 129 by SIGHUP)
  141  whoever read the output stopped reading

environment:
  JACKFIELD_HOME           one folder for configuration, data and caches
  JACKFIELD_PLUGINS=none   run no plugin, as --safe-mode does
  JACKFIELD_PASSPHRASE     opens the encrypted file of secrets, if it is used
  JACKFIELD_DEBUG=1        show where an unexpected error happened
  NO_COLOR=1               no colours
"""
_ASK_EPILOG = """\
What comes in on standard input is put after the question. The answer goes to
standard output as it is written; progress and warnings go to standard error.
Where a plugin changes finished answers and standard output is no terminal, the
answer is written when it is complete. A second Ctrl-C ends at once.

With --json each line is an object with a "type":
  text          "text": more of the answer
  thinking      "text": what the model thinks before it answers
  progress      "label", "done", "total" or null, "unit" (bytes or steps)
  hook_failed   "plugin", "hook", "reason", "switched_off"; the turn goes on
  hook_changed  "plugin", "hook", "diff": what a plugin made of the request,
                or of the answer
  finished      "text" (the whole answer, as plugins left it), "stop", "usage",
                "model", and "left_out" where the model did not take all that
                was set; the last line
  error         "kind", "title", "detail", "hint"; the last line instead
"""

_SETTINGS = {
    "temperature": ("NUMBER", "how freely the model chooses its words"),
    "max_tokens": ("N", "how long the answer may be"),
    "effort": ("WORD", "how hard the model thinks, as in low or high"),
}
"""Parameters of a request, where the model takes them."""


def run_command(arguments: list[str]) -> int:
    """Run a subcommand; gives the exit code."""
    try:
        options = _build_parser().parse_args(arguments)
        run = options.run
        code: int = run(options)
    except SystemExit as leaving:
        return leaving.code if isinstance(leaving.code, int) else int(leaving.code is not None)
    except JackfieldError as error:
        show_error(error)
        return error.code if isinstance(error, CommandError) else Exit.FAILED
    return code


class _Parser(ArgumentParser):
    """A parser whose errors are short and safe to show: they repeat what was typed."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(allow_abbrev=False, formatter_class=RawDescriptionHelpFormatter, **settings)

    def error(self, message: str) -> NoReturn:
        show_error(JackfieldError(line(message), hint=f"`{self.prog} --help` shows what there is."))
        raise SystemExit(Exit.USAGE)


def _build_parser() -> ArgumentParser:
    from jackfield import __version__

    parser = _Parser(prog="jackfield", description=_DESCRIPTION, epilog=_EPILOG)
    parser.add_argument("-V", "--version", action="version", version=f"jackfield {__version__}")
    parser.add_argument("--safe-mode", action="store_true", help="run no plugin")
    parser.set_defaults(run=_start_app)
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")
    _add_ask(commands)
    _add_models(commands)
    add_plugins(commands)
    add_auth(commands)
    add_marketplace(commands)
    _add_open(commands)
    _add_completion(commands)
    return parser


def _add_ask(commands: _SubParsersAction[_Parser]) -> None:
    parser = commands.add_parser(
        "ask", help="ask once and print the answer", description="Ask once.", epilog=_ASK_EPILOG
    )
    parser.add_argument("question", nargs="*", help="what to ask; may also come on standard input")
    parser.add_argument("-m", "--model", metavar="PROVIDER/MODEL", help="who answers")
    parser.add_argument("-c", "--connection", metavar="LABEL", help="with which account; else the active one")
    parser.add_argument("-s", "--system", metavar="TEXT", help="what the model is told before the question")
    parser.add_argument(
        "-a",
        "--attach",
        metavar="FILE",
        action="append",
        default=[],
        help="an image, PDF or text; may come again",
    )
    for name, (metavar, summary) in _SETTINGS.items():
        parser.add_argument(f"--{name.replace('_', '-')}", metavar=metavar, help=summary)
    parser.add_argument("--json", action="store_true", help="print events, one JSON object a line")
    parser.add_argument("--no-progress", action="store_true", help="show no progress on standard error")
    parser.set_defaults(run=_ask)


def _add_models(commands: _SubParsersAction[_Parser]) -> None:
    parser = commands.add_parser(
        "models", help="list the models that can answer", description="List the models of all providers."
    )
    parser.add_argument("-p", "--provider", metavar="NAME", help="only those of this provider")
    parser.add_argument("-c", "--connection", metavar="LABEL", help="those of this account; needs --provider")
    parser.add_argument("--json", action="store_true", help="print a JSON array")
    parser.set_defaults(run=_models)


def _add_open(commands: _SubParsersAction[_Parser]) -> None:
    parser = commands.add_parser(
        "open",
        help="open the app at a plugin that a link leads to",
        description="Show a plugin in the marketplace. Nothing is installed by it.",
    )
    parser.add_argument("link", metavar="LINK", help="such as jackfield://plugin/publisher/name")
    parser.set_defaults(run=_open)


def _add_completion(commands: _SubParsersAction[_Parser]) -> None:
    parser = commands.add_parser(
        "completion",
        help="print what a shell needs to complete commands",
        description='Print a script for a shell, as in: eval "$(jackfield completion bash)"',
    )
    parser.add_argument("shell", choices=("bash", "zsh", "fish"))
    parser.set_defaults(run=_completion)


# Each command imports its own code only when it runs.


def _start_app(options: Namespace) -> int:
    from tui.cli.start import start_app

    return start_app(safe_mode=options.safe_mode)


def _open(options: Namespace) -> int:
    from registry.marketplace.link import linked_plugin
    from tui.cli.start import start_app

    try:
        linked = linked_plugin(options.link)
    except JackfieldError as error:
        raise CommandError(error.title, detail=error.detail, hint=error.hint, code=Exit.USAGE) from error
    return start_app(safe_mode=options.safe_mode, linked=linked)


def _ask(options: Namespace) -> int:
    from tui.cli.ask import Question, ask

    question = Question(
        " ".join(options.question),
        model=options.model,
        connection=options.connection,
        system=options.system,
        settings={name: value for name in _SETTINGS if (value := getattr(options, name)) is not None},
        files=tuple(options.attach),
        as_json=options.json,
        show_progress=not options.no_progress,
    )
    return ask(question, safe_mode=options.safe_mode)


def _models(options: Namespace) -> int:
    from tui.cli.models import list_models

    if options.connection and not options.provider:
        raise CommandError(
            "--connection needs --provider", hint="Labels are of one plugin each.", code=Exit.USAGE
        )
    return list_models(
        options.provider,
        connection=options.connection,
        as_json=options.json,
        safe_mode=options.safe_mode,
    )


def _completion(options: Namespace) -> int:
    from tui.cli.completion import completion_script

    print(completion_script(options.shell, _build_parser()), end="")
    return Exit.DONE

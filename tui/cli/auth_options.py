"""What `jackfield auth` takes, its help, and which code each of its commands runs."""

from __future__ import annotations

from argparse import Namespace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from argparse import _SubParsersAction

_EPILOG = """\
examples:
  jackfield auth login                       choose what to sign in to
  jackfield auth login openai                asks for the key, and shows none of it
  jackfield auth login openai < key.txt      one secret a line, nothing is asked
  jackfield auth login openrouter --method browser
  jackfield auth use openai work             change the account
  jackfield auth doctor                      where secrets are kept, and whether that works

A secret is never taken from the command line, which other programs can read.
"""
_LOGIN_EPILOG = """\
On a terminal, what is needed is asked for. Elsewhere nothing is asked: each secret
is a line of standard input, in the order of the fields, and everything else comes
from --set or is the default. Of several ways to sign in, one that takes a secret is
meant unless --method says another. `jackfield auth schema PLUGIN` shows the fields.

A sign-in in the browser prints the page's address; the address that the browser
ends on may be pasted, or written to standard input. Ctrl-C stops it (exit code 130).

Secrets go to the system's keyring. Where there is none, --store says what else:
  file         a file that a passphrase encrypts (asked for, or JACKFIELD_PASSPHRASE)
  environment  nowhere: keys come from environment variables only
  session      nowhere: only tries whether it works
The choice is kept, but for session, and stands in config.toml: [secrets] store.

exit codes: 0 connected; 1 it failed, nothing was stored; 2 the command line is
wrong, or something that is needed is missing; 130 stopped.
"""
_LOGOUT_EPILOG = """\
The sign-in is ended at its server where that can be done, then the secret is deleted
here. The exit code is 1 when the server did not take part; the secret is deleted all
the same.
"""


def add_auth(commands: _SubParsersAction[Any]) -> None:
    """Add the command to those of `jackfield`."""
    parser = commands.add_parser(
        "auth",
        help="sign in and out, see and switch accounts",
        description="Sign in, and see where secrets are.",
        epilog=_EPILOG,
    )
    actions = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    _add_login(actions)
    _add_views(actions)
    _add_changes(actions)


def _add_login(actions: _SubParsersAction[Any]) -> None:
    login = actions.add_parser(
        "login", help="sign in to a provider", description="Sign in.", epilog=_LOGIN_EPILOG
    )
    login.add_argument("plugin", nargs="?", metavar="PLUGIN", help="what to sign in to; else you choose")
    login.add_argument("--method", metavar="NAME", help="how to sign in, if there are several ways")
    login.add_argument("--label", help="what to call the account; one that is there is signed in to again")
    login.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="fill in a field")
    login.add_argument("--no-verify", action="store_true", help="keep it without asking the provider")
    stores = ("keyring", "file", "environment", "session")
    login.add_argument("--store", choices=stores, help="where to keep secrets")
    login.set_defaults(run=_login)


def _add_views(actions: _SubParsersAction[Any]) -> None:
    listing = actions.add_parser("list", help="list all accounts", description="List accounts.")
    listing.set_defaults(run=_list)
    status = actions.add_parser(
        "status",
        help="show what each provider signs in with",
        description="Show what each provider that is on would sign in with now, and where that is from.",
    )
    status.set_defaults(run=_status)
    doctor = actions.add_parser(
        "doctor",
        help="test where secrets are kept",
        description="Test the keyring, and the place where secrets are kept. "
        "The exit code is 1 when it cannot keep any.",
    )
    doctor.set_defaults(run=_doctor)
    for action in (listing, status, doctor):
        action.add_argument("--json", action="store_true", help="print JSON")
    schema = actions.add_parser(
        "schema", help="print the fields of a plugin's forms", description="Print JSON schemas, by method."
    )
    schema.add_argument("plugin", metavar="PLUGIN", help="the plugin's name")
    schema.set_defaults(run=_schema)


def _add_changes(actions: _SubParsersAction[Any]) -> None:
    using = actions.add_parser("use", help="change the account that is used", description="Switch accounts.")
    using.set_defaults(run=_use)
    renaming = actions.add_parser("rename", help="give an account another label", description="Rename one.")
    renaming.set_defaults(run=_rename)
    logout = actions.add_parser(
        "logout", help="sign out", description="Sign out of an account.", epilog=_LOGOUT_EPILOG
    )
    logout.set_defaults(run=_logout)
    for action in (using, renaming, logout):
        action.add_argument("plugin", metavar="PLUGIN", help="the plugin's name")
    for action in (using, renaming):
        action.add_argument("label", metavar="LABEL", help="what the account is called")
    renaming.add_argument("new", metavar="NEW", help="what to call it from now on")
    logout.add_argument("label", nargs="?", metavar="LABEL", help="which account; may be left out for one")
    logout.add_argument("--all", action="store_true", help="all accounts of the plugin")
    logout.add_argument("--yes", action="store_true", help="do not ask")


# Each command imports its own code only when it runs.


def _login(options: Namespace) -> int:
    from registry.secret_contract import StoreKind
    from tui.cli.auth_form import read_settings
    from tui.cli.auth_login import Wanted, log_in

    wanted = Wanted(
        options.plugin,
        options.method,
        options.label,
        verify=not options.no_verify,
        store=StoreKind(options.store) if options.store else None,
        given=read_settings(options.set),
    )
    return log_in(wanted, safe_mode=options.safe_mode)


def _list(options: Namespace) -> int:
    from tui.cli.auth import list_accounts

    return list_accounts(as_json=options.json, safe_mode=options.safe_mode)


def _status(options: Namespace) -> int:
    from tui.cli.auth import show_status

    return show_status(as_json=options.json, safe_mode=options.safe_mode)


def _doctor(options: Namespace) -> int:
    from tui.cli.auth_doctor import examine

    return examine(as_json=options.json, safe_mode=options.safe_mode)


def _schema(options: Namespace) -> int:
    from tui.cli.auth import show_schema

    return show_schema(options.plugin, safe_mode=options.safe_mode)


def _use(options: Namespace) -> int:
    from tui.cli.auth import use_account

    return use_account(options.plugin, options.label, safe_mode=options.safe_mode)


def _rename(options: Namespace) -> int:
    from tui.cli.auth import rename_account

    return rename_account(options.plugin, options.label, options.new, safe_mode=options.safe_mode)


def _logout(options: Namespace) -> int:
    from tui.cli.auth import sign_out

    return sign_out(
        options.plugin,
        options.label,
        every=options.all,
        sure=options.yes,
        safe_mode=options.safe_mode,
    )

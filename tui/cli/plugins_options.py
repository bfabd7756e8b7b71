"""What `jackfield plugins` takes, its help, and which code each of its commands runs."""

from __future__ import annotations

from argparse import Namespace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from argparse import _SubParsersAction
    from pathlib import Path

    from tui.cli.how import How

_EPILOG = """\
examples:
  jackfield plugins search translate         look for one; needs no network
  jackfield plugins install acme/translate   show what it asks for; install it
  jackfield plugins enable translate         switch it on; installing never does
  jackfield plugins update --all
  jackfield plugins new my-plugin --kind command

exit codes:
  0    done; there was nothing to do is done too
  1    it failed or was refused, you did not agree, or `verify`, `doctor` or
       `check` found something; standard error says why
  2    the command line is wrong, names what is not there, or nobody is there
       to agree and --yes is missing
  130  stopped by Ctrl-C; what was installed is as it was

A NAME is `publisher/name`, or the name where only one publisher uses it.
"""
_INSTALL_EPILOG = """\
What a plugin asks for is shown before it is installed, and has to be agreed to;
--yes agrees without a question. A plugin is off until `plugins enable`.

A version younger than 72 hours is not installed, since most bad versions are
found within days; --now takes this plugin's versions at any age, from now on.
`min_age_hours` in the table [marketplaces] of config.toml sets another age.
"""
_RESTORE_EPILOG = """\
Installs exactly the files that plugins.lock names by their hashes. What another
machine agreed to counts for nothing here: you are asked, or --yes agrees.
"""


def add_plugins(commands: _SubParsersAction[Any]) -> None:
    """Add the command to those of `jackfield`."""
    parser = commands.add_parser(
        "plugins",
        help="find, install, update, list and switch plugins; begin one",
        description="Plugins: those that are here, and those of marketplaces.",
        epilog=_EPILOG,
    )
    actions = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    _add_here(actions)
    _add_finding(actions)
    _add_installing(actions)
    _add_versions(actions)
    _add_keeping(actions)
    _add_authoring(actions)


def _add_here(actions: _SubParsersAction[Any]) -> None:
    listing = actions.add_parser("list", help="list all that are here", description="List plugins.")
    listing.set_defaults(run=_list_plugins)
    showing = actions.add_parser("show", help="show all that is known of one", description="Show a plugin.")
    showing.set_defaults(run=_show_plugin)
    enabling = actions.add_parser("enable", help="switch some on", description="Switch plugins on.")
    enabling.add_argument(
        "--yes", action="store_true", help="agree to what it asks for, where it asks for more"
    )
    enabling.set_defaults(run=_switch_plugin, on=True)
    disabling = actions.add_parser("disable", help="switch some off", description="Switch plugins off.")
    disabling.set_defaults(run=_switch_plugin, on=False, yes=False)
    showing.add_argument("name", metavar="NAME", help="the plugin's name")
    for action in (enabling, disabling):
        action.add_argument("names", nargs="+", metavar="NAME", help="the plugin's name")
        _add_dry_run(action)
    for action in (listing, showing, enabling, disabling):
        _add_json(action)


def _add_finding(actions: _SubParsersAction[Any]) -> None:
    searching = actions.add_parser(
        "search", help="look in the marketplaces", description="Look in the marketplaces that were added."
    )
    searching.add_argument(
        "words", nargs="*", metavar="WORD", help="in its name, tags, contributions, summary"
    )
    searching.add_argument("--kind", choices=("provider", "auth", "command", "hook"), help="what it adds")
    searching.set_defaults(run=_search)
    telling = actions.add_parser(
        "info", help="show all that a marketplace says of one", description="Show a plugin of a marketplace."
    )
    telling.add_argument("name", metavar="NAME[==VERSION]")
    text = telling.add_mutually_exclusive_group()
    text.add_argument("--readme", dest="text", action="store_const", const="readme", help="print only that")
    text.add_argument(
        "--changelog", dest="text", action="store_const", const="changelog", help="print only that"
    )
    telling.set_defaults(run=_info)
    for action in (searching, telling):
        action.add_argument("--marketplace", metavar="NAME", help="only look there")
        _add_json(action)


def _add_installing(actions: _SubParsersAction[Any]) -> None:
    installing = actions.add_parser(
        "install", help="install plugins", description="Install plugins.", epilog=_INSTALL_EPILOG
    )
    installing.add_argument("names", nargs="+", metavar="NAME[==VERSION]")
    installing.add_argument("--marketplace", metavar="NAME", help="only look there")
    installing.add_argument("--locked", action="store_true", help="exactly what plugins.lock names")
    installing.set_defaults(run=_install)
    updating = actions.add_parser(
        "update", help="bring plugins up to date", description="Update plugins.", epilog=_INSTALL_EPILOG
    )
    updating.add_argument("names", nargs="*", metavar="NAME")
    updating.add_argument("--all", action="store_true", help="all that are not pinned")
    updating.set_defaults(run=_update)
    for action in (installing, updating):
        action.add_argument("--now", action="store_true", help="however young the version is")
        _add_how(action)
    removing = actions.add_parser(
        "remove", help="remove one, its code at least", description="Remove a plugin; asks about its data."
    )
    removing.add_argument("name", metavar="NAME")
    for what in ("data", "secrets"):
        choice = removing.add_mutually_exclusive_group()
        choice.add_argument(f"--{what}", action="store_true", default=None, help=f"remove its {what} too")
        choice.add_argument(
            f"--keep-{what}", dest=what, action="store_false", default=None, help=f"keep its {what}"
        )
    removing.add_argument("--yes", action="store_true", help="ask nothing; keep what was not named")
    _add_dry_run(removing)
    _add_json(removing)
    removing.set_defaults(run=_remove)


def _add_versions(actions: _SubParsersAction[Any]) -> None:
    outdated = actions.add_parser(
        "outdated", help="list those with a newer version", description="List newer versions."
    )
    outdated.set_defaults(run=_outdated)
    _add_json(outdated)
    back = actions.add_parser(
        "rollback", help="go back to an earlier version", description="Go back; nothing is downloaded."
    )
    back.add_argument("name", metavar="NAME")
    back.add_argument("version", nargs="?", metavar="VERSION", help="the one before if left out")
    back.add_argument("--dry-run", action="store_true", help="say what is kept, and change nothing")
    back.set_defaults(run=_roll_back)
    _add_json(back)
    pinning = actions.add_parser("pin", help="have updates leave one as it is", description="Pin a plugin.")
    pinning.set_defaults(run=_pin, pinned=True)
    unpinning = actions.add_parser("unpin", help="let updates change it again", description="Unpin a plugin.")
    unpinning.set_defaults(run=_pin, pinned=False)
    for action in (pinning, unpinning):
        action.add_argument("name", metavar="NAME")
        _add_dry_run(action)
        _add_json(action)


def _add_keeping(actions: _SubParsersAction[Any]) -> None:
    locking = actions.add_parser(
        "lock", help="write plugins.lock anew", description="Have plugins.lock say what is installed."
    )
    locking.add_argument("--dry-run", action="store_true", help="say what would change in it")
    locking.set_defaults(run=_lock)
    _add_json(locking)
    restoring = actions.add_parser(
        "restore", help="install what plugins.lock says", description="Restore.", epilog=_RESTORE_EPILOG
    )
    restoring.add_argument("file", nargs="?", metavar="FILE", help="another lock file")
    restoring.set_defaults(run=_restore)
    _add_how(restoring)
    verifying = actions.add_parser(
        "verify", help="hash all installed code again", description="Hash all installed code again."
    )
    verifying.set_defaults(run=_verify)
    examining = actions.add_parser(
        "doctor", help="look at all that plugins depend on", description="Look for what is wrong."
    )
    examining.set_defaults(run=_doctor)
    for action in (verifying, examining):
        _add_json(action)


def _add_authoring(actions: _SubParsersAction[Any]) -> None:
    making = actions.add_parser(
        "new", help="begin a plugin of your own", description="Write a project that works at once."
    )
    making.add_argument("name", metavar="NAME")
    making.add_argument("--kind", choices=("provider", "command", "hook"), required=True, help="what it adds")
    making.add_argument(
        "--runtime", choices=("process",), default="process", help="where it runs: in a process of its own"
    )
    making.add_argument("--into", metavar="FOLDER", help="where; a folder of its name if left out")
    _add_dry_run(making)
    making.set_defaults(run=_new)
    checking = actions.add_parser(
        "check", help="check one as a marketplace would", description="Check a plugin; this runs its code."
    )
    checking.add_argument("path", metavar="PATH", help="the folder of its project, or a wheel")
    checking.add_argument("--publisher", default="you", metavar="NAME", help="who is to publish it")
    checking.set_defaults(run=_check)
    _add_json(checking)


def _add_json(action: Any) -> None:
    action.add_argument("--json", action="store_true", help="print JSON")


def _add_how(action: Any) -> None:
    action.add_argument("--yes", action="store_true", help="agree to what is asked for, without a question")
    _add_dry_run(action)
    _add_json(action)


def _add_dry_run(action: Any) -> None:
    action.add_argument("--dry-run", action="store_true", help="say what would be done, and change nothing")


# Each command imports its own code only when it runs.


def _path(text: str) -> Path:
    from pathlib import Path

    return Path(text)


def _how(options: Namespace) -> How:
    from tui.cli.how import How

    return How(
        agreed=getattr(options, "yes", False),
        ignore_age=getattr(options, "now", False),
        dry_run=getattr(options, "dry_run", False),
        as_json=getattr(options, "json", False),
    )


def _list_plugins(options: Namespace) -> int:
    from tui.cli.plugins import list_plugins

    return list_plugins(as_json=options.json, safe_mode=options.safe_mode)


def _show_plugin(options: Namespace) -> int:
    from tui.cli.plugins import show_plugin

    return show_plugin(options.name, as_json=options.json, safe_mode=options.safe_mode)


def _switch_plugin(options: Namespace) -> int:
    from tui.cli.plugins_switch import switch_plugins

    return switch_plugins(options.names, on=options.on, how=_how(options), safe_mode=options.safe_mode)


def _search(options: Namespace) -> int:
    from tui.cli.plugins_search import search

    words = " ".join(options.words)
    return search(words, kind=options.kind, marketplace=options.marketplace, as_json=options.json)


def _info(options: Namespace) -> int:
    from tui.cli.plugins_info import info

    return info(
        options.name,
        marketplace=options.marketplace,
        text=options.text,
        as_json=options.json,
        safe_mode=options.safe_mode,
    )


def _install(options: Namespace) -> int:
    if options.locked:
        from tui.cli.plugins_lock import restore

        return restore(options.names, file=None, how=_how(options), safe_mode=options.safe_mode)
    from tui.cli.plugins_install import install

    return install(
        options.names, marketplace=options.marketplace, how=_how(options), safe_mode=options.safe_mode
    )


def _update(options: Namespace) -> int:
    from tui.cli.plugins_install import update

    return update(options.names, everything=options.all, how=_how(options), safe_mode=options.safe_mode)


def _remove(options: Namespace) -> int:
    from tui.cli.plugins_remove import Leaving, remove

    leaving = Leaving(options.data, options.secrets)
    return remove(options.name, leaving=leaving, how=_how(options), safe_mode=options.safe_mode)


def _outdated(options: Namespace) -> int:
    from tui.cli.plugins_install import outdated

    return outdated(as_json=options.json, safe_mode=options.safe_mode)


def _roll_back(options: Namespace) -> int:
    from tui.cli.plugins_install import roll_back

    return roll_back(options.name, options.version, how=_how(options), safe_mode=options.safe_mode)


def _pin(options: Namespace) -> int:
    from tui.cli.plugins_install import pin

    return pin(options.name, pinned=options.pinned, how=_how(options), safe_mode=options.safe_mode)


def _lock(options: Namespace) -> int:
    from tui.cli.plugins_lock import lock

    return lock(how=_how(options), safe_mode=options.safe_mode)


def _restore(options: Namespace) -> int:
    from tui.cli.plugins_lock import restore

    file = _path(options.file) if options.file else None
    return restore((), file=file, how=_how(options), safe_mode=options.safe_mode)


def _verify(options: Namespace) -> int:
    from tui.cli.plugins_lock import verify

    return verify(as_json=options.json, safe_mode=options.safe_mode)


def _doctor(options: Namespace) -> int:
    from tui.cli.plugins_doctor import doctor

    return doctor(as_json=options.json, safe_mode=options.safe_mode)


def _new(options: Namespace) -> int:
    from tui.cli.plugins_author import new_plugin

    into = _path(options.into) if options.into else None
    return new_plugin(options.name, options.kind, into=into, dry_run=options.dry_run)


def _check(options: Namespace) -> int:
    from tui.cli.plugins_author import check_plugin

    return check_plugin(_path(options.path), publisher=options.publisher, as_json=options.json)

"""What `jackfield marketplace` takes, its help, and which code each of its commands runs."""

from __future__ import annotations

from argparse import Namespace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from argparse import _SubParsersAction
    from pathlib import Path

_LAST_PORT = 65_535
_EPILOG = """\
for who uses plugins:
  jackfield marketplace add https://plugins.example.org/
  jackfield marketplace refresh              fetch the newest catalogues
  jackfield marketplace list                 which there are, and how old

for who publishes them (docs/marketplace.md):
  jackfield marketplace keys create KEYS
  jackfield marketplace build SOURCE SITE    describe every version, unsigned
  jackfield marketplace check SOURCE         what must not be published
  jackfield marketplace sign SITE --keys KEYS
  jackfield marketplace serve SITE           try it on this machine

exit codes:
  0    done
  1    it failed or was refused, or `check` found something; standard error says why
  2    the command line is wrong, or names what is not there
  130  stopped by Ctrl-C, as `serve` is
"""
_ADD_EPILOG = """\
A marketplace is believed because of its root of trust. Its fingerprint is shown and
asked about; compare it with what its publisher says elsewhere. With --fingerprint it
is compared for you, and --yes then adds the marketplace without a question.
"""
_KEYS_EPILOG = """\
Private keys are sealed with a passphrase: asked for, or JACKFIELD_KEYS_PASSPHRASE.
Root keys are needed for a change of keys and once a year; keep them offline.
"""


def add_marketplace(commands: _SubParsersAction[Any]) -> None:
    """Add the command to those of `jackfield`."""
    parser = commands.add_parser(
        "marketplace",
        help="add marketplaces of plugins; build and sign one",
        description="Places that plugins come from.",
        epilog=_EPILOG,
    )
    actions = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    _add_using(actions)
    _add_publishing(actions)
    _add_keys(actions)


def _add_using(actions: _SubParsersAction[Any]) -> None:
    adding = actions.add_parser(
        "add", help="add one, after showing its fingerprint", description="Add one.", epilog=_ADD_EPILOG
    )
    adding.add_argument("where", metavar="WHERE", help="its address, or a folder")
    adding.add_argument("--name", help="what to call it; its host or folder if left out")
    adding.add_argument("--fingerprint", metavar="HEX", help="what its root of trust has to be")
    adding.add_argument("--yes", action="store_true", help="ask nothing; needs --fingerprint")
    adding.add_argument("--dry-run", action="store_true", help="show its fingerprint, and add nothing")
    adding.set_defaults(run=_add)
    listing = actions.add_parser("list", help="list those that were added", description="List them.")
    listing.set_defaults(run=_list)
    refreshing = actions.add_parser(
        "refresh", help="fetch the newest catalogues", description="Fetch the newest catalogues."
    )
    refreshing.add_argument("name", nargs="?", metavar="NAME", help="only of this one")
    refreshing.set_defaults(run=_refresh)
    removing = actions.add_parser(
        "remove", help="forget one", description="Forget one. What was installed from it stays."
    )
    removing.add_argument("name", metavar="NAME")
    removing.add_argument("--dry-run", action="store_true", help="say what would stay, and forget nothing")
    removing.set_defaults(run=_remove)
    for action in (listing, refreshing):
        action.add_argument("--json", action="store_true", help="print JSON")


def _add_publishing(actions: _SubParsersAction[Any]) -> None:
    building = actions.add_parser(
        "build", help="make a site from a folder of plugins", description="Make a site, unsigned."
    )
    building.add_argument("source", metavar="SOURCE", help="the folder with marketplace.toml")
    building.add_argument("out", metavar="SITE", help="where to put it; what is there is kept")
    building.set_defaults(run=_build)
    checking = actions.add_parser(
        "check", help="look for what must not be published", description="Look through a source or a site."
    )
    checking.add_argument("folder", metavar="FOLDER", help="a source, or what `build` made")
    checking.add_argument("--against", metavar="SITE", help="what was published until now")
    checking.set_defaults(run=_check)
    signing = actions.add_parser(
        "sign", help="sign a site", description="Sign what changed.", epilog=_KEYS_EPILOG
    )
    signing.add_argument("out", metavar="SITE", help="what `build` made")
    signing.add_argument("--keys", required=True, metavar="KEYS", help="the folder of keys")
    signing.set_defaults(run=_sign)
    serving = actions.add_parser(
        "serve", help="serve a site to this machine", description="Serve it on 127.0.0.1 until Ctrl-C."
    )
    serving.add_argument("out", metavar="SITE")
    serving.add_argument("--port", type=_port, default=8317, help="where; 0 for any that is free")
    serving.set_defaults(run=_serve)
    for action in (building, checking, signing):
        action.add_argument("--json", action="store_true", help="print JSON")


def _add_keys(actions: _SubParsersAction[Any]) -> None:
    parser = actions.add_parser(
        "keys", help="make and change keys", description="The keys of a marketplace.", epilog=_KEYS_EPILOG
    )
    keys = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    creating = keys.add_parser("create", help="make the keys of a new one", description="Make keys.")
    creating.add_argument("folder", metavar="KEYS")
    creating.add_argument("--root-keys", type=int, default=1, metavar="N", help="how many root keys")
    creating.add_argument(
        "--threshold", type=int, default=1, metavar="N", help="how many of them sign a change of keys"
    )
    creating.set_defaults(run=_create_keys)
    rotating = keys.add_parser("rotate", help="replace one", description="Replace a key; then sign.")
    rotating.add_argument("role", metavar="ROLE", help="root, targets, snapshot or timestamp")
    rotating.add_argument("--keys", required=True, metavar="KEYS", help="the folder of keys")
    rotating.add_argument("--key", metavar="ID", help="the beginning of the id of the key to replace")
    rotating.set_defaults(run=_rotate_key)
    for action in (creating, rotating):
        action.add_argument(
            "--plain", action="store_true", help="no passphrase: whoever reads the files can sign"
        )
    listing = keys.add_parser("list", help="who signs for what", description="List keys.")
    listing.add_argument("folder", metavar="KEYS")
    listing.add_argument("--json", action="store_true", help="print JSON")
    listing.set_defaults(run=_list_keys)


# Each command imports its own code only when it runs.


def _port(text: str) -> int:
    from argparse import ArgumentTypeError

    if not text.isdecimal() or int(text) > _LAST_PORT:
        raise ArgumentTypeError(f"{text} is no port: a number up to {_LAST_PORT}")
    return int(text)


def _path(text: str) -> Path:
    from pathlib import Path

    return Path(text)


def _existing(text: str) -> Path:
    from tui.cli.named import existing

    return existing(text)


def _add(options: Namespace) -> int:
    from tui.cli.marketplace import add

    return add(
        options.where,
        name=options.name,
        fingerprint=options.fingerprint,
        agreed=options.yes,
        dry_run=options.dry_run,
    )


def _list(options: Namespace) -> int:
    from tui.cli.marketplace import list_marketplaces

    return list_marketplaces(as_json=options.json)


def _refresh(options: Namespace) -> int:
    from tui.cli.marketplace import refresh

    return refresh(options.name, as_json=options.json)


def _remove(options: Namespace) -> int:
    from tui.cli.marketplace import remove

    return remove(options.name, dry_run=options.dry_run)


def _build(options: Namespace) -> int:
    from tui.cli.marketplace_publishing import build_site

    return build_site(_existing(options.source), _path(options.out), as_json=options.json)


def _check(options: Namespace) -> int:
    from tui.cli.marketplace_publishing import check_folder

    return check_folder(
        _existing(options.folder),
        against=options.against and _existing(options.against),
        as_json=options.json,
    )


def _sign(options: Namespace) -> int:
    from tui.cli.marketplace_publishing import sign_site

    return sign_site(_existing(options.out), _existing(options.keys), as_json=options.json)


def _serve(options: Namespace) -> int:
    from tui.cli.marketplace_publishing import serve_site

    return serve_site(_existing(options.out), options.port)


def _create_keys(options: Namespace) -> int:
    from tui.cli.marketplace_keys import create

    return create(
        _path(options.folder), root_keys=options.root_keys, threshold=options.threshold, plain=options.plain
    )


def _rotate_key(options: Namespace) -> int:
    from tui.cli.marketplace_keys import rotate

    return rotate(options.role, _existing(options.keys), old=options.key, plain=options.plain)


def _list_keys(options: Namespace) -> int:
    from tui.cli.marketplace_keys import list_keys

    return list_keys(_existing(options.folder), as_json=options.json)

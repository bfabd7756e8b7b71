"""The command `jackfield`: starts the app, or answers one of its subcommands.

`--version` and the app itself are recognised before anything else is imported; the rest waits for argparse.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

PLUGINS_OFF_FLAG = "--safe-mode"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        arguments: what follows the program's name; by default that of this process.

    Returns:
        The exit code; `jackfield --help` has the table.
    """
    given = sys.argv[1:] if arguments is None else list(arguments)
    try:
        if arguments is None and given[:1] not in (["--version"], ["-V"]):
            from tui.crashes import hide_secrets_in_tracebacks

            hide_secrets_in_tracebacks()  # this process is ours alone
        code = _run(given)
        if sys.stdout is not None:
            sys.stdout.flush()  # a full disk or a closed pipe has to show in the exit code
    except KeyboardInterrupt:
        return 130
    except Exception as error:  # noqa: BLE001 - the border to the shell: a message and an exit code, no traceback
        from tui.cli.output import report_crash

        return report_crash(error)
    return code


def _run(arguments: list[str]) -> int:
    if arguments in (["--version"], ["-V"]):
        from jackfield import __version__

        print("jackfield", __version__)
        return 0
    if not arguments or arguments == [PLUGINS_OFF_FLAG]:
        from tui.cli.start import start_app

        return start_app(safe_mode=bool(arguments))
    from tui.cli.commands import run_command

    return run_command(arguments)

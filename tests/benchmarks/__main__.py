"""Prints the budget table: each measure, its budget, what was measured, and whether the budget is held."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator

from tests.benchmarks import (
    app_start,
    command_start,
    conversation,
    event_latency,
    hook_overhead,
    model_filter,
    plugin_catalogue,
    plugin_install,
    plugin_toggle,
    process_plugin,
    provider_import,
    registry_start,
    stream_readers,
    transcript_stream,
)
from tests.benchmarks.table import HEADER, Row, Rows


def _events(quick: bool) -> Iterator[Row]:
    """What reading answers costs, how long their events are on their way, and what that takes to import."""
    for group in (event_latency, provider_import, stream_readers):
        yield from group.rows(quick)


GROUPS: dict[str, Rows] = {
    "commands": command_start.rows,
    "hooks": hook_overhead.rows,
    "registry": registry_start.rows,
    "start": app_start.rows,
    "conversation": conversation.rows,
    "streaming": transcript_stream.rows,
    "models": model_filter.rows,
    "marketplace": plugin_catalogue.rows,
    "installing": plugin_install.rows,
    "events": _events,
    "processes": process_plugin.rows,
    "toggle": plugin_toggle.rows,
}


def main() -> int:
    """Measure and print; gives 1 if a budget is not held."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("--only", action="append", choices=GROUPS, metavar="NAME", help=", ".join(GROUPS))
    parser.add_argument("--quick", action="store_true", help="little work and few rounds: shows that it runs")
    given = parser.parse_args()
    print(HEADER)
    kept = True
    for name in given.only or GROUPS:
        for row in GROUPS[name](given.quick):
            print(row, flush=True)
            kept = kept and row.verdict != "NOT HELD"
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())

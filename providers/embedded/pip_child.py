"""The process that pip runs in. Started as a script; nothing imports this module.

It does what pip's arguments say and ends when stdin ends: so it never outlives the app, however the app ends,
even while it waits for a server that does not answer.
"""

import os
import runpy
import threading


def main() -> None:
    """Run pip until it is done or stdin ends."""
    threading.Thread(target=_end_with_stdin, daemon=True).start()
    runpy.run_module("pip", run_name="__main__", alter_sys=True)


def _end_with_stdin() -> None:
    while os.read(0, 65536):  # not sys.stdin: its lock must not be held when the interpreter ends
        pass
    os._exit(1)


if __name__ == "__main__":
    main()

"""Starts the process of one plugin and watches over it. Run as a script; nothing imports this module.

It forks: the one process becomes the plugin, with its limits set, in a process group of its own. The other
waits until the plugin ends, or until the app does, which it sees by the end of a socket that both hold, the
lifeline. Then it kills the whole group, and on Linux also what left it. So neither the plugin nor what it
started outlives the app, however the app ends and whatever the plugin is written in. It ends as the plugin
ended: by the same signal, or with the same status.

Over the lifeline it tells the app the number of the group, and at its end that it has done its work. When it
is ended itself before that, Linux ends the plugin, and the app the rest of the group.
"""

import contextlib
import json
import os
import resource
import select
import signal
import sys
from typing import Any, NoReturn

_CANNOT_RUN = 127
_SET_PDEATHSIG = 1
_SET_CHILD_SUBREAPER = 36
"""Of `prctl`, as `linux/prctl.h` has them."""


def main() -> NoReturn:
    """Become the plugin's process in one branch and its watch in the other."""
    config = json.loads(sys.argv[1])
    ended, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.set_wakeup_fd(wake)
    signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
    watch = os.getpid()
    plugin = os.fork()
    if plugin == 0:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        for descriptor in (ended, wake, config["lifeline"]):
            os.close(descriptor)
        _end_with(watch)
        _become_plugin(config)
    with contextlib.suppress(OSError):
        os.setpgid(plugin, plugin)  # the plugin does it too: whoever comes first
    _watch(plugin, config["lifeline"], ended)


def _watch(plugin: int, lifeline: int, ended: int) -> NoReturn:
    for descriptor in (0, 1, 2):
        os.close(descriptor)  # so that the app sees their end when the plugin ends
    _tell(lifeline, f"{plugin} ")
    _prctl(_SET_CHILD_SUBREAPER, 1)  # the parent of all below whose own ends: none gets away from the group
    poller = select.poll()
    poller.register(lifeline, select.POLLIN)
    poller.register(ended, select.POLLIN)
    status = None
    while status is None:
        ready = [descriptor for descriptor, _ in poller.poll()]
        if lifeline in ready:
            _kill_group(plugin)
            os.kill(plugin, signal.SIGKILL)  # it may have put itself into another group
            status = os.waitpid(plugin, 0)[1]
        else:
            os.read(ended, 4096)
            status = _reap(plugin)
    _kill_group(plugin)  # what it started and left behind
    _kill_orphans()
    _tell(lifeline, "done")
    _end_like(status)


def _tell(lifeline: int, word: str) -> None:
    with contextlib.suppress(OSError):  # the app has ended
        os.write(lifeline, word.encode())


def _end_with(watch: int) -> None:
    """Be killed when the watch ends, though nobody else sees it."""
    _prctl(_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != watch:
        os._exit(_CANNOT_RUN)  # it has just ended


def _prctl(option: int, value: int) -> None:
    if sys.platform == "linux":
        with contextlib.suppress(Exception):  # some systems refuse it; the group is killed all the same
            import ctypes  # takes milliseconds, so on both sides of the fork at once

            ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


def _reap(plugin: int) -> int | None:
    """Let go of every child that has ended; the status of the plugin if it is one of them."""
    found = None
    with contextlib.suppress(ChildProcessError):
        while (ended := os.waitpid(-1, os.WNOHANG))[0]:
            if ended[0] == plugin:
                found = ended[1]
    return found


def _kill_group(group: int) -> None:
    with contextlib.suppress(OSError):
        os.killpg(group, signal.SIGKILL)


def _kill_orphans() -> None:
    while children := _living_children():  # again and again: the children of those come after them
        for child in children:
            os.kill(child, signal.SIGKILL)
        for child in children:
            os.waitpid(child, 0)


def _living_children() -> list[int]:
    found: list[int] = []
    if sys.platform != "linux":
        return found
    for name in filter(str.isdigit, os.listdir("/proc")):  # noqa: PTH208 - pathlib is not loaded
        with contextlib.suppress(OSError), open(f"/proc/{name}/stat", "rb") as file:  # noqa: PTH123
            state, parent = file.read().rpartition(b")")[2].split()[:2]
            if int(parent) == os.getpid() and state not in b"ZX":
                found.append(int(name))
    return found


def _end_like(status: int) -> NoReturn:
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        with contextlib.suppress(OSError, ValueError):  # SIGKILL has no handler that could be reset
            signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
    os._exit(os.waitstatus_to_exitcode(status) & 0xFF)


def _become_plugin(config: dict[str, Any]) -> NoReturn:
    os.setpgid(0, 0)
    _set_limits(config["limits"])
    if config["command"] is not None:
        _execute(config["command"])
    sys.path.insert(0, config["app"])
    from registry.runtimes.child import serve

    serve(config)


def _execute(command: list[str]) -> NoReturn:
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    try:
        os.execvp(command[0], command)  # noqa: S606 - what the manifest names
    except OSError as error:
        sys.stderr.write(f"{command[0]} could not be run: {error.strerror}\n")
        sys.stderr.flush()
    os._exit(_CANNOT_RUN)


def _set_limits(limits: dict[str, Any]) -> None:
    cpu = limits["cpu_s"]
    _limit(resource.RLIMIT_CORE, 0)  # a core dump would hold secrets
    _limit(resource.RLIMIT_CPU, cpu, cpu + 5)
    _limit(resource.RLIMIT_NOFILE, limits["open_files"])
    _limit(resource.RLIMIT_AS, limits["memory_bytes"])
    if sys.platform == "linux" and os.getuid() != 0:
        _limit(resource.RLIMIT_NPROC, _threads_of_user() + limits["processes"])


def _limit(kind: int, value: float, hard: float | None = None) -> None:
    highest = resource.getrlimit(kind)[1]
    wanted = [int(value), int(value if hard is None else hard)]
    if highest != resource.RLIM_INFINITY:
        wanted = [min(amount, highest) for amount in wanted]
    with contextlib.suppress(OSError, ValueError):  # not every system has every limit
        resource.setrlimit(kind, (wanted[0], wanted[1]))


def _threads_of_user() -> int:
    """RLIMIT_NPROC counts all threads of the user, in whatever program."""
    user, count = os.getuid(), 0
    for name in os.listdir("/proc"):  # noqa: PTH208 - pathlib is not loaded, and need not be
        with contextlib.suppress(OSError):
            if name.isdigit() and os.stat(f"/proc/{name}").st_uid == user:  # noqa: PTH116
                count += len(os.listdir(f"/proc/{name}/task"))  # noqa: PTH208
    return count


if __name__ == "__main__":
    main()

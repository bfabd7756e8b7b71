"""The process that the embedded model runs in. Started as a script; nothing imports this module.

It is a process of its own because importing the runtime kills a process whose processor is too old, and
loading the model holds the global lock. It uses the standard library and the runtime only.

It reads one line of JSON from stdin (see `ChildConfig` in `server.py`), serves HTTP on 127.0.0.1, says where
in one line of JSON on stdout, and ends when stdin ends: so it never outlives the app, however the app ends.
"""

import json
import os
import sys
from typing import Any


def main() -> None:
    """Serve until stdin ends."""
    config = json.loads(sys.stdin.buffer.readline())
    answer = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # whatever the runtime prints must not be taken for the answer
    sys.path.insert(0, config["runtime"])
    import xllamacpp  # type: ignore[import-not-found]

    server = xllamacpp.Server(_fill(xllamacpp.CommonParams(), config))
    print(json.dumps({"address": server.listening_address}), file=answer, flush=True)
    while sys.stdin.buffer.read(65536):
        pass
    os._exit(0)  # at once: an answer that is being written is of no use to anyone now


def _fill(parameters: Any, config: dict[str, Any]) -> Any:
    parameters.model.path = config["model"]
    parameters.model_alias = {config["name"]}
    parameters.n_ctx = config["n_ctx"]
    parameters.cpuparams.n_threads = config["n_threads"]
    parameters.cpuparams_batch.n_threads = config["n_threads_batch"]
    # A batch is not interrupted. Small ones cost no speed here and let go of the processor soon after Esc.
    parameters.n_batch = parameters.n_ubatch = 64
    parameters.n_parallel = 1
    parameters.cache_ram_mib = 0  # the slot's own cache holds the one conversation there is
    parameters.hostnames = ["127.0.0.1"]
    parameters.port = 0
    parameters.api_keys = [config["api_key"]]
    parameters.ui = False
    parameters.offline = True
    parameters.warmup = False  # it takes longer than the first token that it would speed up
    parameters.verbosity = 1  # errors only
    return parameters


if __name__ == "__main__":
    main()

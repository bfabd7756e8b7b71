"""Where a plugin's code runs: in this process, or in one of its own at the other end of a pipe."""

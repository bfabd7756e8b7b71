"""What the app costs, as ratios within one run: `uv run python -m tests.benchmarks`."""

"""Measure speed and memory: `python -m benchmarks`."""

"""Tables and figures of benchmarks/forecast.py."""

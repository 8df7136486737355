"""The five measurements of benchmarks/findings.py, one module each."""

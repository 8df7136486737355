"""Judges that several benchmarks share."""

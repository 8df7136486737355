"""The same stages on a Ray cluster."""

"""Encoders, sharded embedding, neighbours and the two-dimensional map."""

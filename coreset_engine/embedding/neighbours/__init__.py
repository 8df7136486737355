"""Nearest-neighbour search: exact, and IVF-PQ with an exact re-ranking."""

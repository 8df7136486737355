"""Compiled loops and helpers the selection methods share."""

"""Artifacts on disk: store, file operations, selection folder, history and log."""

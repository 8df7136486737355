"""Records, errors, config dataclasses, registries, device choice and row access on disk."""

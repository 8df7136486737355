"""Ground floor: records, errors, config dataclasses, registries, device choice, and row access for
matrices on disk."""

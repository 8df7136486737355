"""Session state, address bar, sampling and snapshots."""

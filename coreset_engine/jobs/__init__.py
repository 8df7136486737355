"""Background jobs: manager, worker process, garbage collection, diagnostics."""

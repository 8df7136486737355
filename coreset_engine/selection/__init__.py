"""Selection: every method, the arithmetic of pruning rate and beta, constraints."""

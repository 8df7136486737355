"""BlindCS: draws, kernels and scores of coverage minus redundancy."""

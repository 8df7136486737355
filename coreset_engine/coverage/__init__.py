"""The BlindCS wing: draws, kernels and scores of coverage minus redundancy."""

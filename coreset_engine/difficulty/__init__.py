"""The ELFS wing: cluster heads, pseudo-labels, one training loop, scores from training dynamics, beta search."""

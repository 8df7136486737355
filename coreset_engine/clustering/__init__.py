"""Pseudo-labels without training labels: TEMI, k-means, alignment of heads, number of clusters."""

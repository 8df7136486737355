"""Evaluation: a certificate without labels, and training on the subset."""

"""Encoders: networks, their weights, and the functions of the ENCODERS registry."""

"""What a real FiftyOne holds of an exported selection, read in a process of its own."""

from __future__ import annotations


def tags_of(name):
    """Tags of every sample of the dataset `name`."""
    import fiftyone as fo

    return fo.load_dataset(name).values("tags")

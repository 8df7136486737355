"""The tags that exports to FiftyOne give and take; a source read back from there has them."""

from __future__ import annotations

SHARED = "coreset"  # on every sample some selection keeps
PREFIX = "coreset:"  # and the selection's name: on the samples this one keeps


def is_export_tag(tag: str) -> bool:
    """Whether a tag is an export's, so that no person's tag may be called so."""
    return tag == SHARED or tag.startswith(PREFIX)

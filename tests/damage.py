"""One way of damaging bytes, for the tests that feed parsers; what is done where is drawn by each
of them."""

from __future__ import annotations

ACTIONS = ["over", "cut", "insert", "drop", "repeat"]


def damage(data: bytearray, action: str, offset: int, junk: bytes) -> None:
    """Overwrite, cut off, insert, drop or repeat in `data` from `place` on."""
    if action == "over":
        data[offset : offset + len(junk)] = junk
    elif action == "cut":
        del data[offset:]
    elif action == "insert":
        data[offset:offset] = junk
    elif action == "drop":
        del data[offset : offset + len(junk)]
    elif action == "repeat":
        data[offset:offset] = data[offset : offset + 40] * 3
    else:
        raise ValueError(action)

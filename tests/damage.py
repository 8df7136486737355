"""One way of damaging bytes, for the tests that feed parsers; what is done where is drawn by each
of them."""

from __future__ import annotations

ACTIONS = ["over", "cut", "insert", "drop", "repeat"]


def damage(data: bytearray, action: str, place: int, junk: bytes) -> None:
    """Overwrite, cut off, insert, drop or repeat in `data` from `place` on."""
    if action == "over":
        data[place : place + len(junk)] = junk
    elif action == "cut":
        del data[place:]
    elif action == "insert":
        data[place:place] = junk
    elif action == "drop":
        del data[place : place + len(junk)]
    elif action == "repeat":
        data[place:place] = data[place : place + 40] * 3
    else:
        raise ValueError(action)

"""The error tree: four kinds, so that every caller can decide by type.

An error message says three things: the value that was given, the constraint it broke, the
remedy.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class CoresetError(Exception):
    """Base of every error this engine raises on purpose.

    `exit_code` is what the command line returns.
    """

    exit_code = 1


class BadInput(CoresetError, ValueError):
    """The user gave something that cannot work.

    Message: value, constraint, remedy, in one sentence or two.
    """

    exit_code = 2


class Missing(BadInput):
    """Something needed (artefact, optional package, weights, label) is absent.

    The message says how to get it.
    """


class Cancelled(CoresetError):
    """The user asked to stop. Raised by a progress callback, passed through by every stage."""

    exit_code = 3


class Corrupt(CoresetError):
    """An artefact on disk is not what its manifest says.

    The store drops it and the stage is computed again.
    """


def unknown_name(noun: str, name: object, known: Iterable[str]) -> BadInput:
    """The error for a name that is not in `known`, with the most similar one and all of them."""
    names = list(known)
    similar = difflib.get_close_matches(str(name).strip().lower(), names, n=1)
    hint = f" Did you mean {similar[0]!r}?" if similar else ""
    return BadInput(f"{noun} {name!r} is unknown.{hint} Known: {', '.join(names) or 'none'}.")

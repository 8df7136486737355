"""The public `select`: a request, or a method by name with keywords, on a run."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Any

from coreset_engine.core.errors import BadInput
from coreset_engine.core.registry import DEFAULT_METHOD
from coreset_engine.core.types import Artefacts, Selection
from coreset_engine.selection.request import SelectionRequest
from coreset_engine.selection.select import select as _select
from coreset_engine.sources.image_names import ids_named


def select(
    method: str | SelectionRequest | Artefacts,
    run: Artefacts | None = None,
    prune_rate: float | None = None,
    must_keep: Iterable[str] | str = (),
    never: Iterable[str] | str = (),
    count: int | None = None,
    **params: Any,
) -> Selection:
    """The coreset of `method` ("elfs", "blindcs", ...); computes what the method needs, once.

    `select(run, prune_rate=0.9)` takes `auto`, which follows the forecast.

    Parameters
    ----------
    method : str or SelectionRequest
        A name or alias of `METHODS`; or a whole request, which then stands for all that follows.
        May be left out: the run comes first then, and the method is `auto`.
    run : Run
        The artefacts to select from.
    prune_rate : float
        Share removed, in [0, 1); 0.9 where neither it nor `count` is given.
    must_keep, never : str or iterable of str
        Images that are kept whatever the method says, and images that never are: ids, paths, or
        file names that occur once.
    count : int
        Number of images to keep, instead of prune_rate.
    **params
        Constraints (quotas, at_least, groups, costs with budget, near_duplicates, seed, beyond; see
        `SelectionRequest`) and parameters of the method.

    Returns
    -------
    Selection

    Raises
    ------
    BadInput
        For unknown names or ids, values out of range, or constraints that contradict each other.
    """
    method, run = _method_and_run(method, run)
    if isinstance(method, SelectionRequest):
        if params or prune_rate is not None or count is not None or must_keep or never:
            raise BadInput(
                "a SelectionRequest describes the whole selection; change it with "
                "dataclasses.replace instead of passing further arguments."
            )
        return _chosen(method, run)
    request = SelectionRequest.of(
        method, prune_rate, count, must_keep=must_keep, never=never, **params
    )
    return _chosen(request, run)


def _method_and_run(
    method: str | SelectionRequest | Artefacts, run: Artefacts | None
) -> tuple[str | SelectionRequest, Artefacts]:
    """What to select by and from; `auto` where the run alone was given."""
    if isinstance(method, str | SelectionRequest):
        if run is None:
            raise BadInput(
                f"select({method!r}) has no run to select from; write "
                "ce.select('auto', run, prune_rate=0.9)."
            )
        return method, run
    if run is not None:
        raise BadInput(
            "select takes the method and the run, or only the run: "
            "ce.select('elfs', run, prune_rate=0.9) or ce.select(run, prune_rate=0.9)."
        )
    return DEFAULT_METHOD, method


def _chosen(request: SelectionRequest, run: Artefacts) -> Selection:
    if request.must_keep or request.never:
        request = dataclasses.replace(
            request,
            must_keep=ids_named(run.dataset, request.must_keep, "must_keep"),
            never=ids_named(run.dataset, request.never, "never"),
        )
    if not request.beyond:
        return _select(request, run)
    from coreset_engine.pipeline.beyond import other_vectors
    from coreset_engine.pipeline.run import Run
    from coreset_engine.pipeline.sampled_run import Sampled

    if not isinstance(run, Run | Sampled):
        raise BadInput(
            f"beyond={request.beyond!r} is embedded as the run's images were, and "
            f"{type(run).__name__} "
            "has no encoder; select from a Run."
        )
    vectors, about = other_vectors(request.beyond, run)
    made = _select(request, run, vectors)
    return dataclasses.replace(made, info={**made.info, "beyond": about})

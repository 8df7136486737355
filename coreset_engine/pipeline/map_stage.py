"""The map of a run: UMAP positions, or those of an earlier state of the source with new images."""

from __future__ import annotations

from typing import Protocol

from coreset_engine.artifacts import source_states
from coreset_engine.core.types import Progress
from coreset_engine.pipeline import stages
from coreset_engine.pipeline.executor import PipelineRun


class MappedRun(PipelineRun, Protocol):
    """What a map is made from; `pipeline.run.Run` is one."""

    def tick(self, stage: str) -> Progress: ...
    def ready(self, stage: str) -> bool: ...


def compute(run: MappedRun, plain_key: str) -> stages.StageResult:
    """(arrays, info) of the map.

    Parameters
    ----------
    run
        With vectors and neighbours.
    plain_key
        The key of its map without regard to what it continues.
    """
    home = run.store.home
    former = source_states.continued_map(plain_key, home)
    state = None
    if former is not None and run.store.has("map", former["map"]):
        state = source_states.state_of(former["spec"], former["fingerprint"], home)
    if former is None or state is None:  # none to continue, or it was removed since
        return stages.projection(run.vectors, run.neighbours, run.seed, run.tick("map"))
    points = run.store.read("map", former["map"])[0]["points"]
    row = source_states.compare(state, run.dataset).row
    return stages.continued_projection(
        points, row, run.vectors, run.neighbours, run.seed, run.tick("map")
    )


def continue_map(
    run: MappedRun, plain_key: str, former: MappedRun, state: source_states.SourceState
) -> bool:
    """Note that the map of `run` is to keep the positions of `former`.

    Parameters
    ----------
    run
        Of the source as it is now.
    plain_key
        As in `compute`.
    former
        The run of an earlier state of the source.
    state
        That state.

    Returns
    -------
    bool
        False where `former` has no finished map, or `run` has its own already.
    """
    if run.ready("map") or not former.ready("map"):
        return False
    source_states.continue_map(plain_key, former.stored_as("map"), state, run.store.home)
    return True

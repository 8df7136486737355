"""The search for beta as a stage of a run, stored; separately, its accuracy on true labels.

`search` reads vectors, pseudo-labels and dynamics. `oracle` opens the true labels, after the choice
is made and stored.
"""

from __future__ import annotations

import dataclasses
import hashlib
from typing import Any

import numpy as np

from coreset_engine.artifacts.store import digest
from coreset_engine.core.config import make
from coreset_engine.core.types import Progress, silent
from coreset_engine.pipeline.run import Run
from coreset_engine.pipeline.stage_inputs import inputs_of
from coreset_engine.selection.keyed_random import best_first
from coreset_engine.selection.ranks import rank_of

VERSION = 2  # 2: equal scores are ordered by the images' keys


def search(
    run: Run, *, score: str = "aum", progress: Progress = silent, **params: Any
) -> dict[str, Any]:
    """`beta_search.search_beta` on this run, from the store if it is there.

    score: the difficulty that is cut, "aum" or "forgetting". params: fields of BetaConfig. The
    result also has `score` and `dynamics`, the key of the scores that were cut.
    """
    from coreset_engine.evaluation.beta_search import BetaConfig, ScoredImages, search_beta
    from coreset_engine.selection.budget import double_end

    config = dataclasses.asdict(make(BetaConfig, params))

    def work() -> tuple[dict, dict]:
        scored = ScoredImages(
            inputs_of(run, config["proxy"], progress),
            run.pseudo_labels.labels,
            ranked_easy(run, score),
        )
        result = search_beta(
            scored, choose=double_end, seed=run.seed, device=run.device, progress=progress, **config
        )
        return {}, result | dict(score=score)

    return _kept(run, _key(run, score, config), work, progress) | dict(
        dynamics=run.key_of("dynamics")
    )


def oracle(run: Run, search: dict[str, Any], *, progress: Progress = silent) -> dict[str, Any]:
    """`difficulty.beta_search.oracle_curve` of what `search` returned.

    Raises Missing when there are no true labels.
    """
    from coreset_engine.evaluation.beta_search import BetaConfig, ScoredImages, oracle_curve
    from coreset_engine.selection.budget import double_end

    truth = run.labels
    score = search["score"]
    config = {field.name: search[field.name] for field in dataclasses.fields(BetaConfig)}

    def work() -> tuple[dict, dict]:
        inputs = inputs_of(run, config["proxy"], progress)
        return {}, oracle_curve(
            search,
            ScoredImages(inputs, truth, ranked_easy(run, score)),
            choose=double_end,
            device=run.device,
            progress=progress,
        )

    labels_hash = hashlib.sha256(np.ascontiguousarray(truth)).hexdigest()
    return _kept(run, digest([_key(run, score, config), "oracle", labels_hash]), work, progress)


def easy(run: Run, score: str) -> np.ndarray:
    """(N,) float64, high = easy: AUM, or minus the forgetting events (never learned: -inf)."""
    values = np.asarray(getattr(run.dynamics, score), np.float64)
    return values if score == "aum" else -values


def ranked_easy(run: Run, score: str) -> np.ndarray:
    """(N,) float64 ranks, 0 = hardest; equal scores in the order of the images' keys.

    What is cut depends on the order alone, and by ranks it does not depend on the rows.
    """
    hard_first = best_first(-easy(run, score), run.dataset.ids, run.seed)
    return rank_of(hard_first, len(hard_first)).astype(np.float64)


def _key(run: Run, score: str, config: dict[str, Any]) -> str:
    return digest([VERSION, run.key_of("dynamics"), score, run.seed, config])


def _kept(run: Run, key: str, work: Any, progress: Progress) -> dict[str, Any]:
    about = dict(source=run.dataset.fingerprint, root=run.key_of("embeddings"))
    return run.store.get(
        "beta", key, work, about=about, waiting=lambda: progress(0, 1, "(another process)")
    )[1]

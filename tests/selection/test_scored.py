"""ELFS, CCS and the one-score methods where papers and released programs part, on scores worked by
hand.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from tiny import Tiny, ranked


@dataclasses.dataclass
class Watched:
    """Scores of a training, as `Dynamics` names them."""

    aum: np.ndarray
    forgetting: np.ndarray | None = None
    el2n: np.ndarray | None = None
    dyn_unc: np.ndarray | None = None
    info: dict = dataclasses.field(default_factory=dict)


def run_of(**scores) -> Tiny:
    scores = {name: np.asarray(values, float) for name, values in scores.items()}
    n = len(scores["aum"])
    return Tiny(np.arange(n), dynamics=Watched(**scores))


def test_images_never_learned_come_first_by_the_text_and_with_no_event_by_the_programs():
    # Toneva 2019, section 2: never learned counts as infinitely forgotten. CCS' and ELFS' programs
    # count falls from right to wrong, of which such an image has none.
    run = run_of(aum=[0, 0, 0, 0], forgetting=[2, np.inf, 1, 5])
    assert ranked("forgetting", run, 4).order.tolist() == [1, 3, 0, 2]
    program = ranked("forgetting", run, 4, never_learned="zero")
    assert program.order.tolist() == [3, 0, 2, 1] and program.scores[1] == 0
    elfs = ranked("elfs", run, 2, score="forgetting", beta=0.25)
    assert elfs.order[:2].tolist() == [3, 0], "the hardest, never learned, is cut"
    elfs = ranked("elfs", run, 2, score="forgetting", beta=0.25, never_learned="zero")
    assert elfs.order[:2].tolist() == [0, 2], "the hardest is the one with five events"


def test_ccs_cuts_by_the_chosen_score_or_by_aum():
    # Zheng 2023, algorithm 1 drops the beta n hardest by the score that is stratified; the program
    # drops those of lowest AUM whatever the score. Here EL2N and AUM call different images hardest.
    run = run_of(aum=[-9, -8, 1, 2, 3, 4, 5, 6], el2n=[0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 1.2, 1.3])
    kept = set(ranked("ccs", run, 6, score="el2n", beta=0.25).order[:6].tolist())
    assert kept == {0, 1, 2, 3, 4, 5}
    kept = set(ranked("ccs", run, 6, score="el2n", beta=0.25, cut_by="aum").order[:6].tolist())
    assert kept == {2, 3, 4, 5, 6, 7}


def test_ccs_gives_every_stratum_the_same_and_small_ones_all():
    # Two ranges of equal width over AUM 0..10: three images in the lower, five in the upper.
    run = run_of(aum=[0, 1, 2, 6, 7, 8, 9, 10])
    kept = ranked("ccs", run, 4, beta=0.0, strata=2).order[:4]
    assert (kept < 3).sum() == 2
    kept = ranked("ccs", run, 7, beta=0.0, strata=2).order[:7]
    assert (kept < 3).sum() == 3, "7 // 2 = 3 are all of the smaller one, the other gives 4"


@pytest.mark.parametrize("name", ["aum", "elfs", "ccs", "el2n", "forgetting", "dyn_unc"])
def test_equal_scores_are_ordered_by_image_not_by_row(name):
    n = 60
    scores = dict(aum=np.zeros(n), forgetting=np.zeros(n), el2n=np.ones(n), dyn_unc=np.ones(n))
    first = ranked(name, run_of(**scores), 20)
    again = ranked(name, run_of(**scores), 20, seed=1)
    assert set(first.order[:20]) != set(range(20)), "not the first rows"
    assert set(first.order[:20]) != set(again.order[:20]), "another seed orders them otherwise"

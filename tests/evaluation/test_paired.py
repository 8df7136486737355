"""The paired test against a table of Student's t, and what it says in words."""

import numpy as np
import pytest

from coreset_engine.core.errors import BadInput
from coreset_engine.evaluation.paired import against_baseline, paired_test, sentence


def test_the_interval_is_that_of_students_table():
    # Differences 1 2 3 4 5: mean 3, s = sqrt 2.5 = 1.5811, s / sqrt 5 = 0.7071; t(0.975, 4) =
    # 2.776.
    found = paired_test([1, 2, 3, 4, 5])
    assert found.mean == 3 and found.standard_error == pytest.approx(0.70711, abs=1e-5)
    assert found.low == pytest.approx(3 - 2.776 * 0.70711, abs=1e-3)
    assert found.high == pytest.approx(3 + 2.776 * 0.70711, abs=1e-3)
    assert found.n == 5 and found.verdict == "better"


def test_the_verdict_follows_the_interval():
    assert paired_test([-1, -2, -3, -4, -5]).verdict == "worse"
    assert paired_test([1, -1, 2, -2]).verdict == "undecided"
    # t(0.975, 1) = 12.71: two pairs decide only where they hardly differ.
    assert paired_test([1.0, 2.0]).verdict == "undecided"
    assert paired_test([1.0, 1.01]).verdict == "better"
    one = paired_test([4.0])
    assert one.verdict == "one pair" and np.isnan(one.standard_error)
    for bad in ([], [np.nan, 1.0]):
        with pytest.raises(BadInput, match="at least one pair"):
            paired_test(bad)


def test_rows_are_paired_by_rate_and_seed():
    rows = [
        dict(method="random", prune_rate=0.9, seed=0, accuracy=0.70),
        dict(method="random", prune_rate=0.9, seed=1, accuracy=0.60),
        dict(method="random", prune_rate=0.5, seed=0, accuracy=0.90),
        dict(method="elfs", prune_rate=0.9, seed=1, accuracy=0.65),
        dict(method="elfs", prune_rate=0.9, seed=0, accuracy=0.73),
        dict(method="elfs", prune_rate=0.9, seed=2, accuracy=0.99),  # no random of this seed
        dict(method="elfs", prune_rate=0.5, seed=0, accuracy=None),
    ]
    found = against_baseline(rows)
    assert list(found) == [("elfs", 0.9)]
    assert found["elfs", 0.9].n == 2 and found["elfs", 0.9].mean == pytest.approx(0.04)


def test_the_sentence_names_the_outcome_its_interval_and_n():
    message = sentence(paired_test([0.01, 0.02, 0.03, 0.04, 0.05]), "elfs", 0.9)
    assert message == (
        "elfs at 90.0% pruned: better than random, 3.0 points above random "
        "(95% interval +1.0 to +5.0, n = 5)."
    )
    message = sentence(paired_test([-0.02, 0.01, 0.01]), "d2", 0.5)
    assert (
        "no significant difference from random" in message
        and "5 or more seeds are needed" in message
    )
    assert "one run, without a variance estimate" in sentence(paired_test([0.1]), "d2", 0.5)

"""The map's JavaScript copy of the pruning arithmetic agrees with selection/budget.py for random
sets, rates, hard cuts and pins. Run by node; tests/browser runs the same file in Chromium."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coreset_engine.selection.budget import (
    TABLE_7,
    cut_count,
    guessed_beta,
    kept_count,
    largest_beta,
    pinned_window,
    rank_of_free,
    settled_beta,
)

SCRIPT = Path(__file__).parents[2] / "ui" / "map" / "scatter-budget.js"
ANSWER = """
import { createInterface } from "node:readline";
const functions = { keptCount, cutCount, largestBeta, guessedBeta, settledBeta, pinnedWindow };
for await (const line of createInterface({ input: process.stdin })) {
  const [name, ...args] = JSON.parse(line);
  console.log(JSON.stringify(functions[name](...args)));
}
"""
rates = st.one_of(
    st.integers(0, 999).map(lambda m: m / 1000),
    st.integers(0, 9999).map(lambda m: m / 10_000),
    st.floats(0, 1, exclude_max=True),
)
sizes = st.one_of(st.integers(1, 60), st.integers(1, 60_000_000))


@pytest.fixture(scope="module")
def javascript(tmp_path_factory):
    """javascript(name, *args): what the map's function of that name answers."""
    if shutil.which("node") is None:
        pytest.skip("node is not installed; tests/browser compares the same functions in Chromium")
    module = tmp_path_factory.mktemp("js") / "budget.mjs"
    module.write_text(SCRIPT.read_text() + ANSWER)
    with subprocess.Popen(
        ["node", str(module)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:

        def call(*name_and_args):
            process.stdin.write(json.dumps(name_and_args) + "\n")
            process.stdin.flush()
            return json.loads(process.stdout.readline())

        yield call
        process.stdin.close()


@settings(max_examples=400, deadline=None)
@given(n=sizes, p=rates, beta=rates)
def test_counts(javascript, n, p, beta):
    kept = kept_count(n, p)
    assert javascript("keptCount", n, p) == kept
    assert javascript("cutCount", n, beta) == cut_count(n, beta)
    most = largest_beta(n, kept)
    assert javascript("largestBeta", n, kept) == most
    assert cut_count(n, most) + kept <= n
    assert most == 1 or cut_count(n, round(most + 0.001, 3)) + kept > n


@settings(max_examples=400, deadline=None)
@given(n=sizes, p=rates, beta=rates)
def test_beta_in_effect(javascript, n, p, beta):
    kept = kept_count(n, p)
    assert javascript("guessedBeta", TABLE_7, p) == guessed_beta(p)
    assert javascript("settledBeta", n, kept, None, TABLE_7) == settled_beta(None, kept, n)[0]
    asked = min(beta, largest_beta(n, kept))
    assert javascript("settledBeta", n, kept, beta, None) == settled_beta(asked, kept, n)[0]


@settings(max_examples=400, deadline=None)
@given(data=st.data(), n=st.integers(1, 60), p=rates, beta=rates)
def test_window_around_pins(javascript, data, n, p, beta):
    """Both agree, and keep what a walk down the order (after the cut, then the cut ones from the
    easiest) keeps."""
    pins = sorted(data.draw(st.sets(st.integers(0, n - 1))))
    must_keep = set(data.draw(st.sets(st.sampled_from(pins)))) if pins else set()
    kept = kept_count(n, p)
    cut = cut_count(n, min(beta, largest_beta(n, kept)))
    low, high = pinned_window(n, kept, cut, len(must_keep), pins)
    assert javascript("pinnedWindow", n, kept, cut, len(must_keep), pins) == [low, high]
    free = [rank for rank in range(n) if rank not in pins]
    walk = [*range(cut, n), *reversed(range(cut))]
    wanted = [rank for rank in walk if rank in set(free)][: max(0, kept - len(must_keep))]
    assert sorted(wanted) == free[low:high]
    assert [rank_of_free(pins, rank) for rank in range(low, high)] == free[low:high]


def test_guess_at_the_points_of_table_7():
    assert [guessed_beta(rate) for rate in TABLE_7[0]] == list(TABLE_7[1])
    assert guessed_beta(0.15) == 0.045 and guessed_beta(0.95) == 0.522
    assert np.allclose(
        [guessed_beta(m / 1000) for m in range(1000)],
        np.interp(np.arange(1000) / 1000, *TABLE_7),
        atol=0.00051,
    )

"""Why an image was dropped, as every export says it, agrees with what the selection cut."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pandas as pd

from coreset_engine.export.bundle import ExportBundle
from coreset_engine.selection.budget import cut_count
from coreset_engine.selection.methods.baselines import rank_scores


def test_hard_cut_is_rounded_as_the_selection_rounds_it(tmp_path):
    # 0.29 * 50 = 14.5 rounds half up to 15; in binary floating point it is 14.499999999999998.
    assert cut_count(50, 0.29) == 15
    aum = np.arange(50.0)
    order = np.concatenate([np.arange(15, 50), np.arange(15)[::-1]])
    selected = np.isin(np.arange(50), order[:5])
    table = pd.DataFrame(
        {
            "id": [f"i{i}" for i in range(50)],
            "selected": selected,
            "score": rank_scores(order, 50),
            "aum": aum,
        }
    )
    manifest = {"method": "elfs", "params": {"prune_rate": 0.9, "beta": 0.29}}
    reasons = ExportBundle(table, manifest, tmp_path).reasons
    assert Counter(reasons) == {"kept": 5, "hardest cut": 15, "easiest cut": 30}
    assert set(np.flatnonzero(reasons == "hardest cut")) == set(range(15))

"""The sliders' arithmetic in the browser equals the engine's, image for image."""

from __future__ import annotations

import numpy as np
from chrome import wait_for_map

from coreset_engine.selection.budget import (
    TABLE_7,
    cut_count,
    double_end,
    guessed_beta,
    kept_count,
)


def test_window_arithmetic_equals_the_engine(open_page, map_server):
    page, _ = open_page(f"{map_server}/?n=2000")
    wait_for_map(page)
    rates = [round(0.001 * i, 3) for i in range(1000)]
    sizes = [1, 2, 3, 7, 1797, 1795, 50_000, 60_000, 1_281_167]
    loaded = page.evaluate("performance.getEntriesByType('resource').map(e => e.name)")
    arithmetic = next(name for name in loaded if name.endswith("/scatter-budget.js"))
    counted = page.evaluate(
        """async ([url, sizes, rates]) => { const g = await import(url);
        return sizes.map(n => rates.map(p => g.keptCount(n, p))); }""",
        [arithmetic, sizes, rates],
    )
    assert counted == [[kept_count(n, p) for p in rates] for n in sizes]
    betas = [round(0.001 * i, 3) for i in range(1001)]
    cuts = page.evaluate(
        """async ([url, sizes, betas]) => { const g = await import(url);
        return sizes.map(n => betas.map(b => g.cutCount(n, b))); }""",
        [arithmetic, sizes, betas],
    )
    assert cuts == [[cut_count(n, beta) for beta in betas] for n in sizes]


def test_scrubbed_membership_equals_double_end(open_page, map_server):
    page, _ = open_page(f"{map_server}/?n=2000")
    wait_for_map(page)
    aum = np.random.default_rng(3).normal(size=2000)
    for p, beta in [(0.9, 0.0), (0.5, 0.3), (0.333, 0.333), (0.999, 0.5), (0.0, 0.0), (0.25, 0.25)]:
        kept = page.locator(".cm").evaluate(
            """async (map, [p, beta]) => { const view = map.getRootNode().coresetMap;
            await view.move('p', p); await view.move('beta', beta);
            return Array.from({ length: view.n }, (_, i) => i).filter((i) => view.membership.keeps(i)); }""",
            [p, beta],
        )
        assert kept == sorted(double_end(aum, p, beta).tolist()), (p, beta)


def test_an_untouched_beta_follows_the_pruning_rate_as_the_engine_guesses(open_page, map_server):
    page, _ = open_page(f"{map_server}/?n=2000")
    wait_for_map(page)
    loaded = page.evaluate("performance.getEntriesByType('resource').map(e => e.name)")
    arithmetic = next(name for name in loaded if name.endswith("/scatter-budget.js"))
    rates = [round(0.001 * i, 3) for i in range(1000)]
    found = page.evaluate(
        """async ([url, points, rates]) => { const g = await import(url);
        return rates.map(p => g.guessedBeta(points, p)); }""",
        [arithmetic, TABLE_7, rates],
    )
    assert found == [guessed_beta(p) for p in rates]
    assert found[900] == 0.522 and found[0] == 0

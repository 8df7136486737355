"""What a method can do is said in its registry row, truly, and nowhere else by its name."""

from __future__ import annotations

import ast
import dataclasses
from pathlib import Path

import numpy as np
import pytest
from small_run import digits

from coreset_engine.core.registry import BASELINE, DEFAULT_METHOD, METHODS, featured, load

ROOT = Path(__file__).parents[2]
# Words that other settings use too (a score, a label source, an initialisation): a method only
# where something called "method" is compared with them.
ALSO_OTHER_THINGS = {
    *("auto", "random", "aum", "forgetting", "el2n", "entropy", "grand", "dyn_unc", "tdds", "dual"),
    "coreset",
}
NAMES = {name for row in METHODS.values() for name in (row.name, *row.aliases)}
every = pytest.mark.parametrize("name", sorted(METHODS))


@pytest.fixture(scope="module")
def run():
    return digits()


def config_of(name):
    return load(METHODS[name].config)


@every
def test_knobs_are_those_of_the_config(name):
    row = METHODS[name]
    knobs = {field.name for field in dataclasses.fields(config_of(name))}
    assert row.beta == ("beta" in knobs)
    assert row.alpha == ("n_neighbours" in knobs)
    assert row.labels == ("labels" in knobs)


@pytest.mark.integration
@every
def test_nested_rows_rank_nested(run, name):
    row = METHODS[name]
    config = config_of(name)(**({"beta": 0.1} if row.beta else {}))
    assert load(row.function)(run, 60, config, 0).nested == row.nested


@every
def test_score_column_is_what_the_method_ranks_by(run, name):
    row = METHODS[name]
    if row.score and row.nested and not row.double_end:
        scores = run.coverage_at() if row.alpha else run.dynamics_at()
        found = load(row.function)(run, 60, config_of(name)(), 0)
        values = np.asarray(getattr(scores, row.score), float)
        finite = np.isfinite(values)
        assert abs(np.corrcoef(values[finite], found.scores[finite])[0, 1]) > 0.999


@every
def test_methods_that_draw_or_break_ties_differ_by_seed(run, name):
    """With the artefacts fixed, only methods whose row says draw or ties may differ."""
    row = METHODS[name]
    config = config_of(name)(**({"beta": 0.1} if row.beta else {}))
    one, two = (set(load(row.function)(run, 60, config, s).order[:60].tolist()) for s in (0, 1))
    if "draw" in row.random:
        assert one != two or name in ("craig", "gradmatch", "glister")  # parts of one small class
    elif "ties" not in row.random:
        assert one == two


def test_the_default_and_the_baseline_are_registered():
    assert DEFAULT_METHOD in METHODS and BASELINE in METHODS
    assert featured()[0] == DEFAULT_METHOD


def compared_names(tree: ast.AST) -> list[tuple[int, str]]:
    """(line, name) of method names in comparisons, match cases and dictionary keys."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Compare):
            parts = [node.left, *node.comparators]
            words = {w for part in parts for w in strings(part)} & NAMES
            if not about_methods(parts):
                words -= ALSO_OTHER_THINGS
        elif isinstance(node, ast.Dict):
            words = {w for key in node.keys if key is not None for w in strings(key)} & NAMES
            words -= ALSO_OTHER_THINGS
        elif isinstance(node, ast.MatchValue):
            words = set(strings(node.value)) & NAMES - ALSO_OTHER_THINGS
        else:
            continue
        found += [(node.lineno if hasattr(node, "lineno") else 0, word) for word in words]
    return found


def strings(node: ast.AST) -> list[str]:
    parts = node.elts if isinstance(node, ast.Tuple | ast.List | ast.Set) else [node]
    return [p.value for p in parts if isinstance(p, ast.Constant) and isinstance(p.value, str)]


def about_methods(nodes: list[ast.expr]) -> bool:
    """Whether something in these expressions is called method."""
    texts = [
        text
        for node in nodes
        for part in ast.walk(node)
        for text in (getattr(part, "id", ""), getattr(part, "attr", ""), getattr(part, "value", ""))
    ]
    return any(isinstance(text, str) and "method" in text for text in texts)


def test_no_method_is_asked_for_by_name_outside_the_registry_and_its_own_module():
    own = {row.function.partition(":")[0].replace(".", "/") + ".py" for row in METHODS.values()}
    files = [*(ROOT / "coreset_engine").rglob("*.py"), *(ROOT / "ui").rglob("*.py")]
    files += [*(ROOT / "pages").glob("*.py"), ROOT / "app.py"]
    wrong = [
        f"{path.relative_to(ROOT)}:{line} {word}"
        for path in files
        if str(path.relative_to(ROOT)) not in own and path.parent.name != "registry"
        for line, word in compared_names(ast.parse(path.read_text()))
    ]
    assert not wrong, wrong


def test_the_search_for_names_sees_them():
    text = "if method == 'random' or x in ('elfs', 'a'): pass\ny = {'blindcs': 1}\nz = s == 'aum'"
    assert sorted(word for _, word in compared_names(ast.parse(text))) == [
        "blindcs",
        "elfs",
        "random",
    ]

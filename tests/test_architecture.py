"""The house's rules, read from the source by ast: imports go downwards only, rooms stay small, no stray secrets."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
WINGS = ("sources", "embedding", "difficulty", "coverage", "selection", "evaluation", "export")
GROUND = ("types", "errors", "knobs", "registry", "device", "database", "ids")
# evaluation may use difficulty's training loop: the one door between wings (DESIGN section 2).
DOORS = {("evaluation", "difficulty")}
ENGINE = sorted((ROOT / "coreset_engine").rglob("*.py"))
OURS = [*ENGINE, *sorted((ROOT / "ui").rglob("*.py")), *sorted((ROOT / "pages").glob("*.py")), ROOT / "app.py"]


def imported(path: Path, top_level_only: bool = False) -> set[str]:
    tree = ast.parse(path.read_text())
    names = set()
    for node in tree.body if top_level_only else ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return names


def room_of(path: Path) -> str:
    parts = path.relative_to(ROOT / "coreset_engine").parts
    return parts[0] if len(parts) > 1 else path.stem


def rooms_used(path: Path) -> set[str]:
    return {name.split(".")[1] for name in imported(path) if name.startswith("coreset_engine.")}


@pytest.mark.parametrize("path", ENGINE, ids=lambda p: str(p.relative_to(ROOT)))
def test_engine_imports_point_downwards(path):
    room, used = room_of(path), rooms_used(path)
    if room in GROUND:
        assert used <= set(GROUND)
    elif room in WINGS:
        others = {other for other in used & {*WINGS, "run"} if other != room and (room, other) not in DOORS}
        assert not others, f"the wing {room} imports {others}"
    assert not {name for name in imported(path) if name.split(".")[0] in ("streamlit", "ui", "pages", "app")}


@pytest.mark.parametrize("path", ENGINE, ids=lambda p: str(p.relative_to(ROOT)))
def test_optional_packages_are_imported_where_they_are_used(path):
    optional = {"fiftyone", "ray", "open_clip", "faiss"}
    assert not {name.split(".")[0] for name in imported(path, top_level_only=True)} & optional or \
        "fiftyone_plugin" in path.parts


def test_only_ui_pages_and_app_know_streamlit_and_pages_do_not_import_each_other():
    for path in (ROOT / "ui").rglob("*.py"):
        assert not {name for name in imported(path) if name.split(".")[0] in ("pages", "app")}, path
    for path in (ROOT / "pages").glob("*.py"):
        assert not {name for name in imported(path) if name.split(".")[0] == "pages"}, path
        assert len(path.read_text().splitlines()) <= 120, f"{path} is no short script"


@pytest.mark.parametrize("path", OURS, ids=lambda p: str(p.relative_to(ROOT)))
def test_rooms_stay_small_and_say_what_they_are_for(path):
    text = path.read_text()
    assert len(text.splitlines()) <= 320, f"{path.name} has {len(text.splitlines())} lines; split it"
    if text.strip():
        assert ast.get_docstring(ast.parse(text)), f"{path.name} has no module docstring"


def test_engine_import_costs_nothing():
    import subprocess
    import sys

    code = "import sys, coreset_engine; " \
           "print([m for m in ('torch', 'numba', 'pandas', 'fiftyone') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_no_global_random_state_no_pickle_no_eval():
    banned = re.compile(r"np\.random\.(seed|rand|randn|choice|shuffle|permutation|randint)\(|torch\.manual_seed\(|"
                        r"^import random$|pickle\.load|allow_pickle=True|weights_only=False|[^.\w]eval\(|[^.\w]exec\(")
    for path in OURS:
        before = ""
        for number, line in enumerate(path.read_text().splitlines(), 1):
            # torch's layers can only be initialised from its global state: allowed inside a fork, which restores it.
            forked = "torch.manual_seed(" in line and "fork_rng" in before
            assert forked or not banned.search(line), f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
            before = line

"""scripts/lengths.py counts lines of modules, and of functions without their docstrings."""

from __future__ import annotations

import importlib.util
from pathlib import Path

ROOT = Path(__file__).parents[2]


def load_script():
    spec = importlib.util.spec_from_file_location("lengths", ROOT / "scripts" / "lengths.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_lengths(tmp_path):
    lengths = load_script()
    folder = tmp_path / "ui" / "views"
    folder.mkdir(parents=True)
    (folder / "long.py").write_text(
        'def short():\n    """One\n    two\n    three."""\n    return 1\n\n\n'
        "class C:\n    async def long(self):\n        a = 1\n        b = 2\n        return a + b\n"
    )
    assert list(lengths.long_modules(tmp_path, limit=11)) == [(12, "ui/views/long.py")]
    assert list(lengths.long_modules(tmp_path, limit=12)) == []
    assert list(lengths.long_functions(tmp_path, limit=3)) == [(4, "ui/views/long.py:9 long")]
    assert (2, "ui/views/long.py:1 short") in list(lengths.long_functions(tmp_path, limit=1))


def test_pre_commit_uses_the_pinned_ruff():
    pin = next(
        line
        for line in (ROOT / "requirements-dev.txt").read_text().splitlines()
        if line.startswith("ruff==")
    )
    assert (ROOT / ".pre-commit-config.yaml").read_text().count(f'"{pin}"') == 2


def test_the_workflow_calls_the_scripts():
    text = (ROOT / ".github" / "workflows" / "tests.yml").read_text()
    runs = [line.partition("run: ")[2] for line in text.splitlines() if "run: " in line]
    assert [command for command in runs if command] == [
        "scripts/lint",
        "scripts/test --fast",
        "scripts/test",
        "scripts/test --slow",
    ]
    for command in runs:
        assert (ROOT / command.split()[0]).is_file()

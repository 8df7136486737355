"""scripts/audit.py: every requirement is pinned, and the checks notice what they are for."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import numpy
import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def audit():
    spec = importlib.util.spec_from_file_location("audit", ROOT / "scripts" / "audit.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules["audit"] = module
    spec.loader.exec_module(module)
    return module


def test_everything_is_pinned(audit):
    assert list(audit.unpinned()) == []


def test_loose_requirements_are_found(audit, tmp_path):
    (tmp_path / "requirements.txt").write_text(
        "a==1.0\nb>=2\nc\n# d\nray[data]==2.1\ne==1; python_version > '3'\n"
    )
    assert [line.split()[1] for line in audit.unpinned(tmp_path)] == ["b>=2", "c"]


def test_the_bill_names_versions(audit):
    assert {"name": "numpy", "version": numpy.__version__}.items() <= next(
        row for row in audit.bill() if row["name"] == "numpy"
    ).items()


def test_a_vulnerability_that_was_not_looked_up_is_not_called_absent(audit, monkeypatch):
    class Said:
        stdout = '{"dependencies": [{"name": "a", "skip_reason": "?"}, {"name": "b", "version": "1", "vulns": []}]}'

    monkeypatch.setattr(audit, "find_spec", lambda name: True)
    monkeypatch.setattr(audit.subprocess, "run", lambda *a, **k: Said)
    assert audit.vulnerable() == (
        [],
        "pip-audit looked up 1 of 2 pinned packages; the index used here has no data on the others",
    )
    Said.stdout = '{"dependencies": [{"name": "b", "version": "1", "vulns": [{"id": "CVE-1"}]}]}'
    assert audit.vulnerable()[0] == ["b 1: CVE-1"]
    Said.stdout = "no network"
    assert "not looked up" in audit.vulnerable()[1]

"""Counts agree with their nouns, and no sentence of the product fixes a plural after a count."""

from __future__ import annotations

import re
from pathlib import Path

from coreset_engine.core.counted import counted

ROOT = Path(__file__).parents[2]
NOUNS = "boxes|videos|images|files|frames|objects|groups|pairs|labels|rows|pictures|samples"
# A formatted count of one kind, its plural, and no total before it ("3 of {n:,} images").
FIXED = re.compile(rf"(?<!of )(?<!All )\{{[^{{}}]*:,\}} (?:{NOUNS})\b")

SIZES = {  # of sets, which hold several
    "coreset_engine/sources/folder_labels.py: {len(names):,} images",
    "coreset_engine/curation/tagging.py: {len(run.dataset):,} images",
    "coreset_engine/cli/commands/forecast.py: {forecast.n_images:,} labels",
    "compare_datasets.py: {of_a.n:,} images",
    "coverage.py: {len(view):,} images",
    "labels.py: {n:,} images",
    "full_counts.py: {len(run.dataset):,} images",
    "coverage.py: {scores.n_samples:,} samples",
}


def test_counts_agree_with_their_nouns():
    assert counted(1, "image") == "1 image" and counted(0, "image") == "0 images"
    assert counted(1797, "box", "boxes") == "1,797 boxes"
    assert counted(1, "row names", "rows name") == "1 row names"


def test_no_sentence_about_findings_or_sources_fixes_a_plural():
    """What may be 1 is counted with its noun; sizes of sets and limits are never 1."""
    found = []
    for package in ("sources", "curation", "findings", "cli", "artifacts"):
        for path in sorted((ROOT / "coreset_engine" / package).rglob("*.py")):
            for match in FIXED.finditer(path.read_text()):
                found.append(f"{path.relative_to(ROOT)}: {match.group()}")
    for path in sorted((ROOT / "ui" / "views").glob("*.py")):
        found += [f"{path.name}: {one.group()}" for one in FIXED.finditer(path.read_text())]
    assert set(found) <= SIZES, found

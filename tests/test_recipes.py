"""CONTRIBUTING.md's recipes, applied as they are printed to a copy of the package, then used."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parent.parent
pytestmark = pytest.mark.integration
LONGEST = (
    20  # lines of code in a recipe's file and its entry together, blank lines and docstring apart
)


@dataclass(frozen=True)
class Recipe:
    title: str
    new_file: str
    code: str
    table_file: str
    table: str
    entry: str
    command: str


def recipes() -> dict[str, Recipe]:
    """Title -> recipe, read from the headings, code blocks and file names of CONTRIBUTING.md."""
    text = (ROOT / "CONTRIBUTING.md").read_text().partition("\n## Recipes\n")[2]
    found = {}
    for section in text.split("\n### ")[1:]:
        title = section.partition("\n")[0]
        code, entry = re.findall(r"```python\n(.*?)```", section, re.S)
        (command,) = re.findall(r"```bash\n(.*?)\n```", section, re.S)
        (new_file,) = re.findall(r"^New file `(.+)`:$", section, re.M)
        ((table_file, table),) = re.findall(r"^In `(.+)`, add to `(.+)`:$", section, re.M)
        found[title] = Recipe(title, new_file, code, table_file, table, entry, command)
    return found


RECIPES = recipes()
METHOD, ENCODER, SOURCE, TARGET = RECIPES.values()


def with_entry(text: str, table: str, entry: str) -> str:
    """`text` with `entry` first in the table, which opens with `NAME = table(` or `NAME = {`."""
    opening = re.compile(rf"^{table}\b[^\n]* = (table\(|\{{)\n", re.M)
    (found,) = opening.finditer(text)
    return text[: found.end()] + entry + text[found.end() :]


@pytest.fixture(scope="module")
def patched(tmp_path_factory) -> Path:
    """A copy of the package with every recipe applied."""
    copy = tmp_path_factory.mktemp("patched")
    shutil.copytree(
        ROOT / "coreset_engine",
        copy / "coreset_engine",
        ignore=shutil.ignore_patterns("__pycache__"),
    )
    for recipe in RECIPES.values():
        assert not (copy / recipe.new_file).exists(), f"{recipe.new_file} exists already"
        (copy / recipe.new_file).write_text(recipe.code)
        table_file = copy / recipe.table_file
        table_file.write_text(with_entry(table_file.read_text(), recipe.table, recipe.entry))
    return copy


@pytest.fixture(scope="module")
def coreset(patched, tmp_path_factory):
    """coreset("run ...") -> what the command of the patched copy printed, in a folder of its
    own."""
    folder = tmp_path_factory.mktemp("work")

    def run(command: str, expect: int = 0) -> subprocess.CompletedProcess:
        words = command.split()
        assert words[0] == "coreset"
        done = subprocess.run(
            [sys.executable, "-m", "coreset_engine", *words[1:]],
            cwd=folder,
            env=os.environ
            | {
                "PYTHONPATH": str(patched),
                "PYTHONSAFEPATH": "1",
                "CORESET_HOME": str(folder / "home"),
            },
            capture_output=True,
            text=True,
            timeout=240,
        )
        assert done.returncode == expect, done.stderr
        return done

    run.folder = folder
    return run


def test_there_are_four_and_each_is_short():
    assert [recipe.title for recipe in RECIPES.values()] == [
        "Add a selection method",
        "Add an encoder",
        "Add a source",
        "Add an export target",
    ]
    for recipe in RECIPES.values():
        text = recipe.code.partition('"""\n')[2] + recipe.entry
        lines = [line for line in text.splitlines() if line.strip()]
        assert 5 < len(lines) <= LONGEST, f"{recipe.title}: {len(lines)} lines"
        assert max(map(len, lines)) <= 100


def test_the_code_is_formatted_as_ours(patched):
    files = [str(patched / recipe.new_file) for recipe in RECIPES.values()]
    for words in (["format", "--check"], ["check"]):
        done = subprocess.run(
            [
                sys.executable,
                "-m",
                "ruff",
                *words,
                "--config",
                str(ROOT / "pyproject.toml"),
                *files,
            ],
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stdout


def test_the_method_keeps_what_is_nearest_to_the_mean(coreset):
    assert METHOD.command == "coreset run demo --method central --prune-rate 0.9 --out out/"
    line = np.array([[0.0, 1], [10, 1], [4, 1], [6, 1], [100, 1]])  # mean 24, 1
    np.save(coreset.folder / "line.npy", line)
    done = coreset("coreset run line.npy --method central --prune-rate 0.6 --out line/ --json")
    assert json.loads(done.stdout)["kept"] == 2
    kept = (coreset.folder / "line" / "ids.txt").read_text().split()
    assert [name[-1] for name in kept] == ["1", "3"]  # at 10 and 6, the distances are 14 and 18
    assert "central" in coreset("coreset methods").stdout
    assert json.loads(coreset("coreset verify line/manifest.json --json").stdout)["same"]


def test_the_encoder_embeds(coreset):
    done = coreset(ENCODER.command + " --json")
    assert json.loads(done.stdout)["shape"] == [1797, 48]


def test_the_source_opens_and_refuses(coreset):
    coreset(SOURCE.command)
    assert len((coreset.folder / "out" / "ids.txt").read_text().split()) == 32
    refused = coreset("coreset run grey:many --method random", expect=2)
    assert refused.stderr.startswith("error: 'grey:many' needs a number of images")


def test_the_target_writes(coreset):
    coreset("coreset run grey:16 --method random --prune-rate 0.75 --out chosen/")
    coreset(TARGET.command.replace(" out/", " chosen/"))
    kept = (coreset.folder / "kept" / "kept.txt").read_text().split()
    assert kept == (coreset.folder / "chosen" / "ids.txt").read_text().split()
    assert len(kept) == 4

"""The documentation: every command and script marked `<!-- run -->` runs, every other command
exists, and the site builds without a warning and asks no other host for anything."""

from __future__ import annotations

import os
import re
import runpy
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(r"(<!-- run -->\n)?```(bash|python)\n(.*?)```", re.DOTALL)


def blocks(page: Path, language: str, marked: bool) -> list[str]:
    """The fenced blocks of one language on a page, those marked to run or the others."""
    found = BLOCK.findall(page.read_text(encoding="utf-8"))
    return [code for mark, name, code in found if name == language and bool(mark) == marked]


def commands(code: str) -> list[list[str]]:
    """Each `coreset ...` line of a block as a list of words, comments removed."""
    lines = code.replace("\\\n", " ").splitlines()
    words = [shlex.split(line, comments=True) for line in lines]
    found = []
    for line in words:
        if line[:1] == ["coreset"]:
            found.append(line[1:])
        elif line[:3] == ["python", "-m", "coreset_engine"]:
            found.append(line[3:])
    return found


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.fixture(scope="module")
def workspace(tmp_path_factory):
    """One CORESET_HOME for all pages, so that the demo's stages are computed once."""
    return tmp_path_factory.mktemp("docs-home")


@pytest.fixture
def empty_folder(tmp_path, workspace, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CORESET_HOME", str(workspace))
    return tmp_path


WITH_COMMANDS = [page for page in PAGES if any(map(commands, blocks(page, "bash", True)))]
WITH_SCRIPTS = [page for page in PAGES if blocks(page, "python", True)]
READ_FIRST = "README.md"


def first_page_and_slow_others(pages: list[Path]) -> list:
    """The pages as parameters: what a newcomer runs first always, all others marked slow."""
    return [
        pytest.param(
            page, id=name_of(page), marks=[] if name_of(page) == READ_FIRST else pytest.mark.slow
        )
        for page in pages
    ]


@pytest.mark.timeout(600)
@pytest.mark.parametrize("page", first_page_and_slow_others(WITH_COMMANDS))
def test_the_commands_of_a_page_run(page, empty_folder):
    for code in blocks(page, "bash", True):
        for words in commands(code):
            done = subprocess.run(
                [sys.executable, "-m", "coreset_engine", *words],
                env=os.environ | {"PYTHONPATH": str(ROOT)},
                capture_output=True,
                text=True,
            )
            assert done.returncode == 0, f"coreset {' '.join(words)}: {done.stderr[-500:]}"


@pytest.mark.timeout(600)
@pytest.mark.parametrize("page", first_page_and_slow_others(WITH_SCRIPTS))
def test_the_scripts_of_a_page_run(page, empty_folder, capsys):
    for number, code in enumerate(blocks(page, "python", True)):
        script = empty_folder / f"block{number}.py"
        script.write_text(code)
        runpy.run_path(str(script))


def test_pages_have_commands_and_scripts_to_run():
    assert len(WITH_COMMANDS) >= 6
    assert len(WITH_SCRIPTS) >= 2


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_other_command_and_option_exists(page):
    import typer.main

    from coreset_engine.cli.main import app

    group = typer.main.get_command(app)
    for code in blocks(page, "bash", False):
        for words in commands(code):
            assert words[0] in group.commands, words
            known = {name for p in group.commands[words[0]].params for name in p.opts}
            used = {word.partition("=")[0] for word in words if word.startswith("--")}
            assert used <= known | {"--help"}, words


def test_the_site_builds_and_needs_no_other_host(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path / "site")],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT), "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    pages = list((tmp_path / "site").rglob("*.html"))
    assert len(pages) > 20
    loaded = re.compile(r"<(?:script|link|img)[^>]+(?:src|href)=\"(https?:)?//[^\"]+")
    for page in pages:
        assert not loaded.search(page.read_text(encoding="utf-8")), page
    command_line = (tmp_path / "site" / "reference" / "command-line.html").read_text()
    assert "--prune-rate" in command_line

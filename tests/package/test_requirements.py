"""The two lists of dependencies say the same: ranges in pyproject.toml, pins in
requirements*.txt."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
RUNTIME = ("requirements.txt", "requirements-ray.txt")


def pins(*names: str) -> dict[str, Requirement]:
    """Package -> its requirement, which names one version."""
    found = {}
    for name in names:
        for line in (ROOT / name).read_text().splitlines():
            text = line.split("#")[0].strip()
            if text and not text.startswith("-"):
                requirement = Requirement(text)
                found[canonicalize_name(requirement.name)] = requirement
    return found


def ranges(*extras: str) -> dict[str, Requirement]:
    """Package -> its range, of the core (no extras) or of these extras; our own name left out."""
    lines = [line for extra in extras for line in PROJECT["optional-dependencies"][extra]]
    parsed = [Requirement(line) for line in (lines if extras else PROJECT["dependencies"])]
    return {canonicalize_name(one.name): one for one in parsed if one.name != PROJECT["name"]}


def version_of(pin: Requirement) -> str:
    (only,) = pin.specifier
    assert only.operator == "=="
    return only.version


def test_what_the_app_needs_is_pinned_and_what_is_pinned_is_declared():
    optional = ("fiftyone", "clip", "faiss")
    assert set(pins("requirements.txt")) == set(ranges()) | set(ranges(*optional))
    assert set(pins("requirements-ray.txt")) == set(ranges("ray", "remote"))
    assert set(pins("requirements-dev.txt")) == set(ranges("dev"))


def test_every_pin_lies_in_its_range():
    declared = ranges() | ranges(*PROJECT["optional-dependencies"])
    for name, pin in pins(*RUNTIME, "requirements-dev.txt").items():
        assert declared[name].specifier.contains(version_of(pin)), f"{name}: {declared[name]}"
        assert str(declared[name].marker) == str(pin.marker), f"{name}: markers differ"
        assert declared[name].extras == pin.extras, f"{name}: extras differ"


def test_all_holds_every_extra_but_dev():
    (everything,) = PROJECT["optional-dependencies"]["all"]
    extras = set(PROJECT["optional-dependencies"]) - {"all", "dev"}
    assert Requirement(everything).extras == extras


def test_the_build_backend_is_the_pinned_one():
    build = tomllib.loads((ROOT / "pyproject.toml").read_text())["build-system"]
    (backend,) = [Requirement(line) for line in build["requires"]]
    assert backend.specifier.contains(version_of(pins("requirements-dev.txt")[backend.name]))


def test_the_version_is_the_newest_of_the_changelog():
    from coreset_engine import __version__

    headings = re.findall(r"^## \[([^\]]+)\]", (ROOT / "CHANGELOG.md").read_text(), re.M)
    assert headings[0] == "Unreleased" and headings[1] == __version__


def modules_after(code: str) -> set[str]:
    """Top-level names of all modules that `code` makes Python import."""
    ending = "; import sys; print('MODULES', *{name.split('.')[0] for name in sys.modules})"
    done = subprocess.run(
        [sys.executable, "-c", code + ending], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return set(done.stdout.rpartition("MODULES")[2].split())


HEAVY = {"torch", "numba", "pandas", "scipy", "sklearn", "pyarrow", "fiftyone", "streamlit", "ray"}


def test_importing_the_engine_imports_no_package():
    installed = {"numpy", "typer", "rich", "click", "psutil", "jinja2", "humanize", "tenacity"}
    assert not modules_after("import coreset_engine") & (HEAVY | installed)
    # 24 of its 25 milliseconds, before finders and loaders were plain classes
    assert "tempfile" not in modules_after("import coreset_engine")


def test_the_command_line_answers_help_without_a_heavy_package():
    code = "from coreset_engine.cli import main; main.app(['--help'], standalone_mode=False)"
    loaded = modules_after(code)
    assert not loaded & (HEAVY | {"numpy", "rich"})


def test_the_launcher_checks_its_options_without_any_package():
    """scripts/app asks it before the environment exists."""
    code = "from coreset_engine.cli import launcher; launcher.main(['--check'])"
    assert not modules_after(code) & (HEAVY | {"numpy", "typer", "rich", "psutil"})

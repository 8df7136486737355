"""`pip install .` as a user has it: the wheel in an environment of its own, away from the
checkout."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest
from chrome import ROOT, free_port, stop, wait_until_up

PIP = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]


@pytest.fixture(scope="session")
def wheel(tmp_path_factory) -> Path:
    """The wheel of this checkout, built without a network."""
    folder = tmp_path_factory.mktemp("wheel")
    options = ["--no-deps", "--no-build-isolation", "--wheel-dir", str(folder)]
    subprocess.run([*PIP, "wheel", *options, str(ROOT)], check=True, cwd=folder)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="session")
def installed(wheel, tmp_path_factory) -> Path:
    """An environment with nothing but the wheel; its dependencies come from this environment."""
    folder = tmp_path_factory.mktemp("installed") / "venv"
    venv.create(folder, with_pip=False)
    python = folder / "bin" / "python"
    subprocess.run(
        [*PIP, "--python", str(python), "install", "--no-deps", "--no-index", str(wheel)],
        check=True,
        cwd=folder,
    )
    (packages,) = folder.glob("lib/python*/site-packages")
    (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return folder


@pytest.fixture
def run_installed(installed, tmp_path):
    """run_installed("coreset", ...) runs a command of the environment in an empty folder."""
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith("PYTHON")
    }
    environment |= {"CORESET_HOME": str(tmp_path / "home"), "OMP_NUM_THREADS": "1"}

    def run(command: str, *arguments: str) -> subprocess.CompletedProcess:
        folder = tmp_path / "elsewhere"
        folder.mkdir(exist_ok=True)
        return subprocess.run(
            [str(installed / "bin" / command), *arguments],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=240,
        )

    run.environment = environment
    return run


def test_the_wheel_adds_two_top_level_names_and_no_litter(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.split("/")[0] for name in names if ".dist-info/" not in name}
    assert tops == {"coreset_engine", "coreset_explorer"}
    assert not [name for name in names if "__pycache__" in name or name.endswith(".pyc")]


def test_the_wheel_holds_every_file_that_the_program_reads(wheel):
    """Compared with what git tracks below the folders that are packaged."""
    tracked = subprocess.run(
        ["git", "ls-files", "coreset_engine", "ui", "pages", "app.py", ".streamlit"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout.split()
    packed = set(zipfile.ZipFile(wheel).namelist())
    below = {
        name if name.startswith("coreset_engine/") else f"coreset_explorer/{name}"
        for name in tracked
    }
    present = {name for name in below if (ROOT / name.removeprefix("coreset_explorer/")).exists()}
    assert present and present - packed == set()
    assert "coreset_engine/py.typed" in packed
    assert "coreset_explorer/requirements-offline.txt" in packed


def test_the_engine_is_the_installed_one(run_installed, installed):
    done = run_installed("python", "-c", "import coreset_engine; print(coreset_engine.__file__)")
    assert Path(done.stdout.strip()).is_relative_to(installed), done.stderr
    absent = run_installed("python", "-c", "import ui")
    assert "No module named 'ui'" in absent.stderr


def test_the_demo_runs(run_installed, tmp_path):
    out = tmp_path / "out"
    done = run_installed(
        "coreset", *f"run demo --method random --prune-rate 0.9 --out {out} --json".split()
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["kept"] == 180  # 10 % of 1,797, rounded half up
    assert len((out / "ids.txt").read_text().split()) == 180
    same = run_installed("coreset", "verify", str(out / "manifest.json"))
    assert same.returncode == 0, same.stderr


def test_a_job_starts_its_child(run_installed, tmp_path):
    """The child fails for a reason of its own, which shows that it was found and ran."""
    code = """
import sys, time
from coreset_engine.jobs import manager
job = manager.submit("prepare", sys.argv[1], {}, sys.argv[2])
for _ in range(600):
    if manager.read(job, sys.argv[2]).status == "failed":
        break
    time.sleep(0.1)
print(manager.read(job, sys.argv[2]).message)
"""
    nowhere = str(tmp_path / "nowhere")
    done = run_installed("python", "-c", code, nowhere, str(tmp_path / "home"))
    assert "neither a source's name nor an existing path" in done.stdout, done.stderr


def test_the_offline_database_is_listed(run_installed):
    code = "from coreset_engine.export.fiftyone import mongodb; print(mongodb.OFFLINE.read_text())"
    assert "fiftyone-db" in run_installed("python", "-c", code).stdout


@pytest.mark.parametrize(
    "words, message",
    [
        (["--port", "70000"], "error: port '70000' must be a whole number from 1 to 65535"),
        (["--prot", "8502"], "error: unrecognized arguments: --prot 8502"),
        (["--port"], "error: argument --port: expected one argument"),
        (["--host", "no such host"], "error: host 'no such host' is not an address"),
    ],
)
def test_a_wrong_option_is_one_line(run_installed, words, message):
    done = run_installed("coreset-explorer", *words)
    assert done.returncode == 2 and done.stderr.startswith(message), done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_taken_port_is_one_line(run_installed, app):
    port = app.rpartition(":")[2]
    done = run_installed("coreset-explorer", "--port", port)
    assert done.returncode == 2
    assert re.fullmatch(rf"error: port {port} is taken on 127.0.0.1; .*\n", done.stderr)


def test_the_app_opens_on_its_first_page(run_installed, installed, demo_home, tmp_path, open_page):
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    (folder / "ui.py").write_text("raise SystemExit('a file of the user was imported')\n")
    port = free_port()
    with (tmp_path / "log").open("w") as log:
        server = subprocess.Popen(
            [str(installed / "bin" / "coreset-explorer"), "--port", str(port)],
            cwd=folder,
            env=run_installed.environment
            | {
                "CORESET_HOME": str(demo_home),
                "CORESET_OPEN": "demo",
                "FIFTYONE_DO_NOT_TRACK": "1",
            },
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        address = f"http://127.0.0.1:{port}"
        wait_until_up(server, address, tmp_path / "log")
        page, witness = open_page(address)
        page.get_by_role("heading", name="Coreset Explorer", level=1).wait_for()
        page.get_by_text("1,797").first.wait_for()
        witness.assert_clean()
        sidebar = page.locator("[data-testid=stSidebar]")
        # secondaryBackgroundColor of .streamlit/config.toml, which is read from the package
        colour = sidebar.evaluate("(e) => getComputedStyle(e).backgroundColor")
        assert colour == "rgb(243, 245, 248)"
    finally:
        stop(server)
    assert "Traceback" not in (tmp_path / "log").read_text()

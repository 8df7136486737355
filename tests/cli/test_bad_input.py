"""First light's table of bad input: each gets exit 2 and one sentence with the value, never a
traceback or a result.

Called in this process through the same `main` as the shell, so that the whole table takes seconds.
"""

from __future__ import annotations

import io
import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from coreset_engine.cli import main

ROOT = Path(__file__).parents[2]


@pytest.fixture
def shell(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("CORESET_HOME", str(tmp_path / "home"))

    def call(*words: object) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["coreset_engine", *map(str, words)])
        with pytest.raises(SystemExit) as ended:
            main.main()
        return ended.value.code, capsys.readouterr().err

    return call


def assert_refused(answer: tuple[int, str], *message: str) -> None:
    code, err = answer
    last = err.strip().splitlines()[-1]
    assert code == 2, err
    assert last.startswith("error: ") and "Traceback" not in err
    for word in message:
        assert word in last, last


def picture(path: Path, mode: str = "RGB", **options) -> Path:
    shade = Image.linear_gradient("L").resize((32, 32))
    shade = shade.convert("I;16") if mode == "I;16" else shade.convert("RGB").convert(mode)
    shade.save(path, **options)
    return path


def vectors(path: Path, rows: int = 40) -> Path:
    np.save(path, np.random.default_rng(0).normal(size=(rows, 8)).astype(np.float32))
    return path


def test_a_device_that_is_not_there(shell, monkeypatch):
    assert_refused(shell("run", "demo", "--device", "tpu"), "tpu", "'cpu'")
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    for verb in ("run", "embed", "score", "evaluate"):
        assert_refused(shell(verb, "demo", "--device", "cuda"), "cuda", "sees no GPU")


def test_paths_that_lead_nowhere(shell, tmp_path):
    assert_refused(shell("run", tmp_path / "absent"), "absent")
    empty = tmp_path / "empty"
    empty.mkdir()
    assert_refused(shell("run", empty), "empty")
    (empty / "notes.txt").write_text("no image")
    (empty / "table.csv").write_text("a,b")
    assert_refused(shell("run", empty), "empty")


def test_a_folder_of_broken_images_only(shell, tmp_path):
    folder = tmp_path / "broken"
    folder.mkdir()
    (folder / "empty.png").write_bytes(b"")
    full = io.BytesIO()
    Image.linear_gradient("L").save(full, "JPEG")
    (folder / "cut.jpg").write_bytes(full.getvalue()[:200])
    assert_refused(shell("embed", folder), "broken")


def test_odd_images_are_used_and_broken_ones_set_aside(shell, tmp_path):
    folder = tmp_path / "odd"
    folder.mkdir()
    picture(folder / "cmyk.jpg", "CMYK")
    picture(folder / "deep.png", "I;16")
    picture(folder / "clear.png", "RGBA")
    frames = [Image.new("P", (32, 32), color) for color in (1, 2, 3)]
    frames[0].save(folder / "moving.gif", save_all=True, append_images=frames[1:])
    (folder / "empty.png").write_bytes(b"")
    code, err = shell("select", folder, "--method", "random", "--prune-rate", "0")
    assert code == 0 and "1 file was skipped" in err and "empty.png" in err


@pytest.mark.parametrize(
    "array, message",
    [
        (np.array([[1.0, np.nan]] * 9, np.float32), "NaN"),
        (np.arange(9, dtype=np.float32), "(9,)"),
    ],
)
def test_vectors_that_are_none(shell, tmp_path, array, message):
    np.save(tmp_path / "v.npy", array)
    assert_refused(shell("run", tmp_path / "v.npy"), message)


def test_fewer_vectors_than_images(tmp_path):
    from coreset_engine.core.errors import BadInput
    from coreset_engine.sources.open import open_source

    images = tmp_path / "images"
    images.mkdir()
    for i in range(5):
        picture(images / f"{i}.png")
    with pytest.raises(BadInput, match="5"):
        open_source(vectors(tmp_path / "v.npy", rows=4), images=images)


@pytest.mark.parametrize("rate", ["1", "1.5", "-0.1", "nan", "inf"])
def test_pruning_rates_out_of_range(shell, tmp_path, rate):
    assert_refused(
        shell("run", vectors(tmp_path / "v.npy"), "--prune-rate", rate), f"prune_rate={float(rate)}"
    )


def test_nothing_pruned_keeps_everything(shell, tmp_path, capsys):
    assert (
        shell(
            "run",
            vectors(tmp_path / "v.npy"),
            "--method",
            "random",
            "--prune-rate",
            "0",
            "--out",
            tmp_path / "out",
        )[0]
        == 0
    )
    assert len((tmp_path / "out" / "ids.txt").read_text().splitlines()) == 40


@pytest.mark.parametrize(
    "words, message",
    [
        (("--method", "elfs", "--prune-rate", "0.5", "--beta", "0.7"), "beta"),
        (("--method", "elfs", "--n-clusters", "41"), "41"),
        (("--method", "elfs", "--n-clusters", "0"), "0"),
        (("--method", "elfs", "--n-clusters", "-3"), "-3"),
        (("--method", "magic"), "magic"),
        (("--method", "blindcs", "--n-neighbours", "-1"), "n_neighbours"),
        (("--method", "blindcs", "--n-samples", "0"), "n_samples"),
        (("--method", "random", "--param", "color=red"), "color"),
        (("--method", "random", "--param", "nonsense"), "NAME=VALUE"),
        (("--seed", "-1"), "seed"),
        (("--prune-rate", "much"), "--prune-rate"),
    ],
)
def test_knobs_out_of_range(shell, tmp_path, words, message):
    assert_refused(shell("run", vectors(tmp_path / "v.npy"), *words), message)


def test_unknown_names(shell, tmp_path):
    picture(tmp_path / "a.png")
    picture(tmp_path / "b.png")
    assert_refused(shell("run", tmp_path, "--encoder", "magic"), "magic")
    assert_refused(shell("run", "fiftyone:"), "FiftyOne")
    assert_refused(shell("dance"), "dance")


def test_a_place_that_cannot_be_written_is_refused_before_any_work(shell, tmp_path):
    (tmp_path / "file").write_text("x")
    source = vectors(tmp_path / "v.npy")
    assert_refused(shell("run", source, "--out", tmp_path / "file" / "x"), "cannot be written")
    other = tmp_path / "other"
    other.mkdir()
    (other / "thesis.tex").write_text("mine")
    assert_refused(shell("run", source, "--out", other), "not a selection folder")
    assert (other / "thesis.tex").read_text() == "mine" and not (
        tmp_path / "home" / "artefacts"
    ).exists()


@pytest.mark.parametrize("option, message", [("0", "'0'"), ("70000", "70000"), ("http", "http")])
def test_ports_that_are_none(option, message):
    done = subprocess.run(
        [ROOT / "scripts" / "app", "--port", option], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 2 and message in done.stderr and "Traceback" not in done.stderr


def test_a_port_that_is_taken():
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        done = subprocess.run(
            [ROOT / "scripts" / "app", "--port", str(port)],
            capture_output=True,
            text=True,
            env={**os.environ, "CORESET_VENV": sys.prefix},
            timeout=120,
        )
    assert (
        done.returncode == 2 and f"port {port} is taken" in done.stderr and "--port" in done.stderr
    )

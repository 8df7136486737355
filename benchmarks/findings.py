"""Findings against planted truth, against cleanvision, and what cleaning is worth in accuracy.

    python benchmarks/findings.py planted SOURCE [--images 400] [--encoder NAME]
    python benchmarks/findings.py blur SOURCE [--images 1000]
    python benchmarks/findings.py scale [--images 1000000]
    python benchmarks/findings.py cleanvision SOURCE --python ENV/bin/python [--images 10000]
    python benchmarks/findings.py accuracy SOURCE [--seeds 5]

planted: copies, recompressed, shrunken, turned, blurred, dark, ... images and wrong labels are added
to images of SOURCE, and leaks to a second folder; prints precision and recall of each finding.
What the same images show without anything planted is not counted as wrong, nor is an image
that was altered in another way (a darkened one is low in contrast too). blur: 20 images of the set are
blurred in each of several ways; what is found among the others is counted too. scale: seconds and
peak memory of the findings that need vectors, on made-up ones with planted copies. cleanvision: both look
at the same PNG files, one process each on one core; prints core seconds, their ratio and the
agreement on cleanvision's own issues. ENV holds cleanvision, which is no dependency of this
repository. accuracy: the same budget with and without cleaning, paired, a linear model.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from PIL import Image, ImageEnhance, ImageFilter

sys.path[0] = str(Path(__file__).resolve().parent.parent)

from coreset_engine.artifacts.store import Store  # noqa: E402
from coreset_engine.core.device import cpu_count  # noqa: E402
from coreset_engine.core.types import Dataset, Neighbours  # noqa: E402
from coreset_engine.evaluation.linear import fit_linear  # noqa: E402
from coreset_engine.evaluation.paired import paired_test  # noqa: E402
from coreset_engine.findings import copies, outliers, twins  # noqa: E402
from coreset_engine.findings.config import CleanConfig  # noqa: E402
from coreset_engine.findings.examine import Material, near_pairs_of  # noqa: E402
from coreset_engine.findings.image_statistics import (  # noqa: E402
    ImageStatistics,
    measure,
    stacked,
)
from coreset_engine.findings.quality import judged_for_blur, quality_findings  # noqa: E402
from coreset_engine.findings.report import Report  # noqa: E402
from coreset_engine.pipeline.clean import affected, clean  # noqa: E402
from coreset_engine.pipeline.compare_sources import compare_sources  # noqa: E402
from coreset_engine.pipeline.run import Run  # noqa: E402
from coreset_engine.pipeline.select import select  # noqa: E402
from coreset_engine.sources.open import open_source  # noqa: E402
from coreset_engine.training.loop import TrainingSet  # noqa: E402

EACH = 20  # images planted of each kind


# -- planted truth ---------------------------------------------------------------------------------


def _scaled(factor: float) -> Callable[[Image.Image], Image.Image]:
    return lambda image: image.resize(
        tuple(max(1, round(side * factor)) for side in image.size), Image.Resampling.LANCZOS
    )


def _blurred(image: Image.Image) -> Image.Image:
    return image.filter(ImageFilter.GaussianBlur(max(1.5, 0.04 * max(image.size))))


def _bright(image: Image.Image) -> Image.Image:
    return image.point(lambda value: 246 + value // 28)


def _flat(image: Image.Image) -> Image.Image:
    return image.point(lambda value: 118 + value // 12)


def _blank(image: Image.Image) -> Image.Image:
    """One colour, another one for each image, so that no two are copies."""
    pixels = np.asarray(image, np.int64)
    return Image.new("RGB", image.size, tuple(int(pixels[:, :, c].sum() % 200) for c in range(3)))


# kind -> (what is done, suffix and options of the file, findings that should name it)
PLANTED: dict[str, tuple[Callable[[Image.Image], Image.Image], str, dict, tuple[str, ...]]] = {
    "pixels": (lambda image: image, ".bmp", {}, ("pixel_identical",)),
    "jpeg": (lambda image: image, ".jpg", {"quality": 80}, ("near_duplicates",)),
    "smaller": (_scaled(0.8), ".png", {}, ("near_duplicates",)),
    "turned": (lambda image: image.rotate(90, expand=True), ".png", {}, ("rotated",)),
    "mirrored": (
        lambda image: image.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
        ".png",
        {},
        ("rotated",),
    ),
    "blurred": (_blurred, ".png", {}, ("blurred",)),
    "dark": (lambda image: ImageEnhance.Brightness(image).enhance(0.15), ".png", {}, ("dark",)),
    "bright": (_bright, ".png", {}, ("bright",)),
    "flat": (_flat, ".png", {}, ("low_contrast",)),
    "blank": (_blank, ".png", {}, ("blank",)),
    "wide": (
        lambda image: image.resize((image.width * 4, image.height)),
        ".png",
        {},
        ("odd_aspect",),
    ),
}


def planted(source: str, count: int, encoder: str) -> None:
    """Print precision and recall of each finding, and of leaks."""
    base = open_source(source)
    chosen = np.random.default_rng(0).permutation(len(base))[:count]
    with tempfile.TemporaryDirectory() as place:
        root = Path(place)
        truth = _write_planted(base, chosen, root / "set")
        plain = _opened(root / "plain", encoder, root)
        mixed = _opened(root / "set", encoder, root)
        usual = {name: set(plain[1].ids_of(name)) for name in plain[1].findings}
        print(f"{source}: {len(chosen):,} images, {EACH} planted of each kind; {_machine()}\n")
        print("| finding | planted | found beside the usual | precision | recall |")
        print("|---|---|---|---|---|")
        for name, wanted in truth.items():
            others = set.union(*(ids for other, ids in truth.items() if other != name))
            found = set(mixed[1].ids_of(name)) - usual.get(name, set()) - (others - wanted)
            _row(name, wanted, found)
        _leaks(base, chosen, root, encoder, mixed[0])


def _write_planted(base: Dataset, chosen: np.ndarray, folder: Path) -> dict[str, set[str]]:
    """Write the images to `folder` and, without what is planted, to its sibling "plain"; finding ->
    ids that it should name."""
    truth: dict[str, set[str]] = {"byte_identical": set(), "label_conflicts": set()}
    plain = folder.with_name("plain")
    named = []
    for number, i in enumerate(chosen):
        label = "c0" if base.labels is None else f"c{base.labels[i]}"
        name = f"{label}/{number:05d}.png"
        for place in (folder, plain):
            (place / label).mkdir(parents=True, exist_ok=True)
            base.image(int(i)).save(place / name)
        named.append(name)
    sources = iter(named)
    for _ in range(EACH):
        name = next(sources)
        copy = name.replace(".png", "-copy.png")
        shutil.copyfile(folder / name, folder / copy)
        truth["byte_identical"] |= {name, copy}
    for _ in range(EACH):  # the same picture under another class
        name = next(sources)
        (folder / "wrong").mkdir(exist_ok=True)
        other = "wrong/" + name.replace("/", "-")
        shutil.copyfile(folder / name, folder / other)
        truth["byte_identical"] |= {name, other}
        truth["label_conflicts"] |= {name, other}
    for kind, (change, suffix, options, findings) in PLANTED.items():
        for _ in range(EACH):
            name = next(sources)
            made = name.replace(".png", f"-{kind}{suffix}")
            with Image.open(folder / name) as image:
                change(image.convert("RGB")).save(folder / made, **options)
            grouped = findings[0] in ("pixel_identical", "near_duplicates", "rotated")
            for finding in findings:
                truth.setdefault(finding, set()).update({name, made} if grouped else {made})
    return truth


def _opened(folder: Path, encoder: str, home: Path) -> tuple[Run, object]:
    run = Run(open_source(folder), encoder=encoder, store=Store(home / "store"))
    return run, clean(run)


def _row(name: str, wanted: set[str], found: set[str]) -> None:
    right = len(wanted & found)
    precision = f"{right / len(found):.0%}" if found else "-"
    print(f"| {name} | {len(wanted)} | {len(found)} | {precision} | {right / len(wanted):.0%} |")


def _leaks(base: Dataset, chosen: np.ndarray, root: Path, encoder: str, run: Run) -> None:
    """A second folder of other images with 3 x EACH leaked ones."""
    rest = np.setdiff1d(np.arange(len(base)), chosen)[:200]
    other = root / "other" / "c"
    other.mkdir(parents=True)
    for i in rest:
        base.image(int(i)).save(other / f"own-{i}.png")
    wanted: dict[str, set[str]] = {"bytes": set(), "pixels": set(), "near": set()}
    for number in range(3 * EACH):
        kind = list(wanted)[number % 3]
        at = len(chosen) - 1 - number
        source = next((root / "plain").glob(f"*/{at:05d}.png"))
        suffix = {"bytes": ".png", "pixels": ".bmp", "near": ".jpg"}[kind]
        target = other / f"leak-{at}{suffix}"
        if kind == "bytes":
            shutil.copyfile(source, target)
        else:
            options = {"quality": 80} if kind == "near" else {}
            Image.open(source).convert("RGB").save(target, **options)
        wanted[kind].add(f"{target.name}")
    second = Run(open_source(other.parent), encoder=encoder, store=run.store)
    found = compare_sources(run, second)
    leaked = {Path(key).name for key in found.leaked_ids()}
    _row("leakage", set.union(*wanted.values()), leaked)
    for kind, ids in wanted.items():
        print(f"| leakage by {kind} | {len(ids)} | | | {len(ids & leaked) / len(ids):.0%} |")


# -- blur ------------------------------------------------------------------------------------------


def _moved(share: float, degrees: float) -> Callable[[Image.Image], Image.Image]:
    """Moved along a line by a share of the longer side, at least 4 pixels."""

    def change(image: Image.Image) -> Image.Image:
        length = max(4, round(share * max(image.size)))
        around = ((length, length), (length, length), (0, 0))
        padded = np.pad(np.asarray(image.convert("RGB"), np.float32), around, mode="edge")
        height, width = image.height, image.width
        total = np.zeros((height, width, 3), np.float32)
        for way in np.linspace(-(length - 1) / 2, (length - 1) / 2, length):
            top = length + round(way * np.sin(np.radians(degrees)))
            left = length + round(way * np.cos(np.radians(degrees)))
            total += padded[top : top + height, left : left + width]
        return Image.fromarray((total / length).astype(np.uint8))

    return change


def _enlarged(image: Image.Image) -> Image.Image:
    """Shrunk to 1/33 of the longer side's pixels, at least 3 times, and enlarged again."""
    factor = max(3, round(0.03 * max(image.size)))
    size = tuple(max(1, side // factor) for side in image.size)
    return image.resize(size, Image.Resampling.BOX).resize(image.size, Image.Resampling.BICUBIC)


def _soft(share: float) -> Callable[[Image.Image], Image.Image]:
    return lambda image: image.filter(ImageFilter.GaussianBlur(max(1.0, share * max(image.size))))


BLURS: dict[str, Callable[[Image.Image], Image.Image]] = {
    "Gaussian, 4 % of the side": _blurred,
    "Gaussian, 2 %": _soft(0.02),
    "Gaussian, 1 %": _soft(0.01),
    "enlarged": _enlarged,
    "moved sideways, 6 %": _moved(0.06, 0),
    "moved sideways, 3 %": _moved(0.03, 0),
    "moved at a slant of 30 degrees, 6 %": _moved(0.06, 30),
}


def blur(source: str, count: int) -> None:
    """Print how many planted blurs of each kind are found, and how many other images."""
    base = open_source(source)
    chosen = np.random.default_rng(0).permutation(len(base))[:count]
    images = [base.image(int(i)).convert("RGB") for i in chosen]
    kinds = np.full(len(images), "", object)
    for number, (name, change) in enumerate(BLURS.items()):
        for at in range(number * EACH, (number + 1) * EACH):
            images[at] = change(images[at])
            kinds[at] = name
    looked = stacked([measure(image) for image in images])
    judged = judged_for_blur(looked, CleanConfig())
    found = next(one for one in quality_findings(looked, CleanConfig()) if one.name == "blurred")
    flagged = np.zeros(len(images), bool)
    flagged[found.positions] = True
    print(
        f"{source}: {len(images):,} images, {judged.sum():,} judged, threshold {found.threshold:.3f}"
    )
    for name in BLURS:
        part = kinds == name
        print(f"{name}: {int((flagged & part).sum())} of {int(part.sum())} found")
    others = np.flatnonzero(flagged & (kinds == ""))
    print(f"not planted: {len(others)} of {int((kinds == '').sum()):,} found")
    for at in others[:40]:
        print(f"  {base.ids[chosen[at]]}  {looked.blur[at]:.3f}")


# -- scale -----------------------------------------------------------------------------------------


def scale(n: int, k: int = 50) -> None:
    """Print core seconds and peak memory of each finding on `n` made-up images.

    The neighbour graph is made up too: links to images near in a list, at distances from 0.05 to
    0.6. A hundredth of the images are near-copies of the next one, a thousandth turned copies.
    """
    rng = np.random.default_rng(0)
    material = _made_up(rng, n, k)
    base = _peak_gb()
    print(f"{n:,} images, {k} neighbours; {_machine()}; {base:.1f} GB before the findings\n")
    print("| finding | found | core-seconds | peak memory, GB |\n|---|---|---|---|")
    config = CleanConfig()
    same = material.same
    near: dict[str, object] = {}

    def near_finding() -> object:
        near["found"] = copies.near_duplicates(near_pairs_of(material, same))
        return near["found"]

    steps: dict[str, Callable[[], object]] = {
        "byte_identical": lambda: copies.byte_identical(material.digests),
        "pixel_identical": lambda: copies.pixel_identical(
            material.statistics.pixels, material.digests
        ),
        "near_duplicates": near_finding,
        "label_conflicts": lambda: copies.label_conflicts(same, material.labels, near["found"]),
        "outliers": lambda: outliers.outliers(material.neighbours, material.clusters),
        "blurred and other quality": lambda: quality_findings(material.statistics, config)[5],
        "rotated": lambda: twins.rotated(material.statistics, same, config.rotated),
    }
    if n > twins.MOST_IMAGES:
        del steps["rotated"]
    for name, step in steps.items():
        began = time.process_time()
        found = step()
        spent = time.process_time() - began
        print(f"| {name} | {len(found):,} | {spent:.1f} | {_peak_gb():.1f} |", flush=True)


def _made_up(rng: np.random.Generator, n: int, k: int) -> Material:
    steps = np.sort(rng.integers(1, 500, (n, k), dtype=np.int32), axis=1)
    indices = (np.arange(n, dtype=np.int32)[:, None] + steps) % np.int32(n)
    distances = np.sort(rng.random((n, k), dtype=np.float32), axis=1) * 0.55 + 0.05
    copied = rng.choice(n - 1, n // 100, replace=False)
    indices[copied, 0] = copied + 1
    distances[copied, 0] = 0.001
    coarse = rng.integers(0, 256, (n, 4, 4, 3), dtype=np.uint8)
    tiny = np.repeat(np.repeat(coarse, 4, axis=1), 4, axis=2)
    tiny[copied + 1] = tiny[copied] ^ 1
    turned = rng.choice(n - 1, n // 1000, replace=False)
    tiny[turned + 1] = np.rot90(tiny[turned], axes=(1, 2))
    pixels = rng.integers(0, n * 50, n).astype("S16")
    labels = rng.integers(0, 100, n)
    ones = np.ones(n, np.float32)
    statistics = ImageStatistics(
        width=np.full(n, 96, np.int32),
        height=np.full(n, 96, np.int32),
        brightness=np.sort(rng.random((n, 5), dtype=np.float32), axis=1),
        entropy=ones * 7,
        blur=rng.random(n, dtype=np.float32),
        coloured=ones,
        pixels=pixels,
        tiny=tiny,
    )
    return Material(
        "made up",
        np.arange(n).astype(str),
        statistics,
        Neighbours(indices, distances),
        digests=pixels.astype("S32"),
        labels=labels,
        clusters=labels,
    )


def _peak_gb() -> float:
    lines = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(lines["VmHWM"].split()[0]) / 2**20


# -- cleanvision -----------------------------------------------------------------------------------

_THEIRS = """
import json, sys, time
from cleanvision import Imagelab
lab = Imagelab(data_path=sys.argv[1])
began = time.process_time()
lab.find_issues(n_jobs=1, verbose=False)
seconds = time.process_time() - began
issues = lab.issues
names = [c[3:-6] for c in issues.columns if c.startswith("is_") and c.endswith("_issue")]
found = {n: [str(i).rpartition("/")[2] for i in issues.index[issues[f"is_{n}_issue"]]] for n in names}
print(json.dumps(dict(seconds=seconds, found=found)))
"""
ISSUES = {
    "dark": "dark",
    "light": "bright",
    "odd_aspect_ratio": "odd_aspect",
    "low_information": "low_information",
    "odd_size": "odd_size",
    "blurry": "blurred",
    "grayscale": "greyscale",
    "exact_duplicates": "byte_identical",
    "near_duplicates": "near_duplicates",
}


def against_cleanvision(source: str, count: int, python: str) -> None:
    """Print core seconds of both on the same files, and their agreement."""
    base = open_source(source)
    chosen = np.sort(np.random.default_rng(0).permutation(len(base))[:count])
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "images"
        folder.mkdir()
        for number, i in enumerate(chosen):
            base.image(int(i)).save(folder / f"{number:05d}.png")
        done = subprocess.run(
            [python, "-c", _THEIRS, str(folder)],
            capture_output=True,
            text=True,
            check=True,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
        )
        theirs = json.loads(done.stdout.strip().splitlines()[-1])
        report, seconds = _ours(folder, Path(place))
    print(f"{source}: {count:,} images; {_machine()}")
    print(f"cleanvision {theirs['seconds']:.1f} core-seconds, here {seconds:.1f} core-seconds")
    print(f"ratio {theirs['seconds'] / seconds:.1f}x\n")
    print("| issue | cleanvision | here | both |\n|---|---|---|---|")
    for issue, name in ISSUES.items():
        own = set(theirs["found"].get(issue, ()))
        mine = set(report.ids_of(name)) if name in report.findings else set()
        print(f"| {issue} | {len(own)} | {len(mine)} | {len(own & mine)} |")


def _ours(folder: Path, home: Path) -> tuple[object, float]:
    """(report without embeddings, core seconds of this process, opening included)."""
    warm = Run(open_source("demo"), store=Store(home / "warm"))
    clean(warm, embed=False)  # compiled kernels, imported modules
    began = time.process_time()
    run = Run(open_source(folder), store=Store(home / "store"))
    report = clean(run, embed=False)
    return report, time.process_time() - began


# -- accuracy --------------------------------------------------------------------------------------

WAYS = {
    "copies": ("byte_identical", "pixel_identical"),
    "copies and near": ("byte_identical", "pixel_identical", "near_duplicates"),
    "all but low": (
        "byte_identical",
        "pixel_identical",
        "near_duplicates",
        "label_conflicts",
        "blank",
        "outliers",
    ),
}


def accuracy(run: Run, seeds: int, rates: tuple[float, ...] = (0.95, 0.8)) -> None:
    """Print the accuracy of each budget with and without cleaning.

    A fifth of the images is the test; of a group of copies all stay on one side. The budget is a
    share of the images before cleaning, so that every row of a pair trains on as many.
    """
    rows: dict[tuple[str, float, str], list[float]] = {}
    removed: dict[str, list[int]] = {}
    for seed in range(seeds):
        train, test = _split(run, seed)
        for way, part, taken in _cleaned(run.take(train)):
            removed.setdefault(way, []).append(taken)
            for method in ("random", "kmedoids"):
                for rate in rates:
                    count = round((1 - rate) * len(train))
                    kept = select(method, part, count=count, seed=seed).indices
                    right = _share_right(run, part, kept, test)
                    rows.setdefault((method, rate, way), []).append(right)
    print(f"{run.dataset.spec}: {len(run.dataset):,} images, {seeds} seeds; {_machine()}")
    for way, counts in removed.items():
        print(f"excluded of {len(train):,} by {way!r}: {np.mean(counts):.0f}")
    print("\n| method | kept | cleaned | accuracy | difference, 95 % interval |")
    print("|---|---|---|---|---|")
    for (method, rate, way), values in rows.items():
        told = ""
        if way != "none":
            base = rows[method, rate, "none"]
            paired = paired_test([100 * (a - b) for a, b in zip(values, base)])
            told = f"{paired.mean:+.1f} ({paired.low:+.1f} to {paired.high:+.1f})"
        print(f"| {method} | {1 - rate:.0%} | {way} | {100 * np.mean(values):.1f} % | {told} |")


def _cleaned(part: Run) -> Iterator[tuple[str, Run, int]]:
    """(way, `part` with its exclusions, their number), from one report."""
    part.excluded_by = []
    yield "none", part, 0
    report = clean(part)
    for way, names in WAYS.items():
        ids = _ids_of(part, report, names)
        part.excluded_by = [dict(kind="exclude", ids=ids, reason="benchmark")]
        yield way, part, len(ids)


def _ids_of(part: Run, report: Report, names: tuple[str, ...]) -> list[str]:
    """What a person would exclude: all but one of each group, every image with two labels."""
    ids: list[str] = []
    for name in names:
        if name in report.findings:  # vectors have no pixels
            which = "all" if name == "label_conflicts" else "surplus"
            ids += affected(part, report, name, which=which)
    return list(dict.fromkeys(ids))


def _share_right(run: Run, part: Run, kept: np.ndarray, test: np.ndarray) -> float:
    """Accuracy on `test` of a linear model that is trained on `kept`."""
    n_classes = len(run.dataset.classes)
    model = fit_linear(TrainingSet(part.vectors[kept], part.dataset.labels[kept]), n_classes)
    return float((model.predict(run.vectors[test]) == run.dataset.labels[test]).mean())


def _split(run: Run, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """(train, test) positions; copies of one picture are on one side, once in the test."""
    groups = np.unique(np.asarray(run.dataset.digests), return_inverse=True)[1]
    order = np.random.default_rng(seed).permutation(groups.max() + 1)
    held = np.zeros(len(order), bool)
    held[order[: len(order) // 5]] = True
    first = np.unique(groups, return_index=True)[1]
    return np.flatnonzero(~held[groups]), np.sort(first[held])


def _machine() -> str:
    return f"{platform.machine()}, {cpu_count()} cores"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("planted", "blur", "scale", "cleanvision", "accuracy"))
    parser.add_argument("source", nargs="?", default="")
    parser.add_argument("--images", type=int, default=0)
    parser.add_argument("--encoder", default="efficientnet_lite0")
    parser.add_argument("--python", default=sys.executable)
    parser.add_argument("--seeds", type=int, default=5)
    given = parser.parse_args()
    if given.what == "planted":
        planted(given.source, given.images or 400, given.encoder)
    elif given.what == "scale":
        scale(given.images or 1_000_000)
    elif given.what == "blur":
        blur(given.source, given.images or 1000)
    elif given.what == "cleanvision":
        against_cleanvision(given.source, given.images or 10_000, given.python)
    else:
        accuracy(Run(open_source(given.source), encoder=given.encoder), given.seeds)


if __name__ == "__main__":
    main()

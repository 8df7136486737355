"""Precision and recall of each finding on planted truth."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image, ImageEnhance, ImageFilter

from benchmarks.findings_parts.machine import machine
from coreset_engine.artifacts.store import Store
from coreset_engine.core.types import Dataset
from coreset_engine.pipeline.clean import clean
from coreset_engine.pipeline.compare_sources import compare_sources
from coreset_engine.pipeline.run import Run
from coreset_engine.sources.open import open_source

EACH = 20  # images planted of each kind


def _scaled(factor: float) -> Callable[[Image.Image], Image.Image]:
    return lambda image: image.resize(
        tuple(max(1, round(side * factor)) for side in image.size), Image.Resampling.LANCZOS
    )


def blurred(image: Image.Image) -> Image.Image:
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
    "blurred": (blurred, ".png", {}, ("blurred",)),
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
        print(f"{source}: {len(chosen):,} images, {EACH} planted of each kind; {machine()}\n")
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

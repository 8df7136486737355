"""The demo of the app: crops of public photographs that scikit-image and scikit-learn ship.

Twelve photographs (a cat, a cup of coffee, a rocket, galaxies, ...) are cut into 640 square
pictures of unequal numbers per class, with random place, size, mirroring and brightness. As in a
real set some pictures are repeated and some labels are wrong. Both are planted on purpose and
declared in the column `planted`, so that what the app finds can be checked. Everything is made in
memory from files on disk, without a network.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from PIL import Image, ImageEnhance

from coreset_engine.core.errors import Missing
from coreset_engine.core.types import Dataset, Note

SIDE = 96  # pixels
SEED = 20_261
EXACT = 16  # byte-identical repeats
NEAR = 24  # repeats that are shifted by a pixel or two and a little brighter
WRONG = 24  # labels moved to another class
TRIES = 12  # crops drawn until one shows more than an even background
CONTRAST = 24.0  # grey levels, standard deviation
NONE = ""
REPEAT = "exact duplicate"
SHIFTED = "near-duplicate"
MISLABELLED = "wrong label"


@dataclass(frozen=True)
class Photograph:
    """One photograph that crops are cut from.

    Attributes
    ----------
    package, file : str
        Which installed package ships it, and where inside the package.
    label : str
        Class of its crops.
    count : int
        How many crops.
    box : (left, top, right, bottom)
        Part that shows the subject, as shares of width and height.
    smallest, largest : float
        Side of a crop as a share of the shorter side of the box.
    """

    package: str
    file: str
    label: str
    count: int
    box: tuple[float, float, float, float] = (0.0, 0.0, 1.0, 1.0)
    smallest: float = 0.35
    largest: float = 0.8


PHOTOGRAPHS = (
    Photograph("skimage", "data/chelsea.png", "cat", 84, (0.1, 0.0, 0.8, 1.0), 0.45, 0.95),
    Photograph("skimage", "data/coffee.png", "coffee", 76, (0.1, 0.0, 0.95, 1.0)),
    Photograph("sklearn", "datasets/images/flower.jpg", "flower", 70, (0.15, 0.0, 0.9, 1.0)),
    Photograph("sklearn", "datasets/images/china.jpg", "temple", 64, (0.2, 0.1, 1.0, 1.0)),
    Photograph("skimage", "data/motorcycle_left.png", "motorcycle", 60, (0.05, 0.1, 0.95, 1.0)),
    Photograph("skimage", "data/rocket.jpg", "rocket", 54, (0.25, 0.0, 0.75, 1.0)),
    Photograph("skimage", "data/astronaut.png", "astronaut", 48, (0.1, 0.0, 0.95, 1.0)),
    Photograph("skimage", "data/hubble_deep_field.jpg", "galaxies", 44, smallest=0.15, largest=0.4),
    Photograph("skimage", "data/ihc.png", "tissue", 36, smallest=0.25, largest=0.6),
    Photograph("skimage", "data/retina.jpg", "retina", 28, (0.12, 0.12, 0.88, 0.88), 0.25, 0.6),
    Photograph("skimage", "data/gravel.png", "gravel", 20, smallest=0.25, largest=0.6),
    Photograph("skimage", "data/brick.png", "bricks", 16, smallest=0.3, largest=0.7),
)
CREDITS = (
    "Crops of photographs that scikit-image (public domain and CC0) and scikit-learn (CC BY) ship"
)


def open_demo_photos() -> Dataset:
    """The demo's images, with labels that contain planted errors.

    Returns
    -------
    Dataset
        640 RGB pictures of 96 x 96 pixels with 12 classes. Columns: `planted` ("", "exact
        duplicate", "near-duplicate" or "wrong label") and `true_class`.

    Raises
    ------
    Missing
        Where scikit-image is not installed.
    """
    pixels, truth, labels, planted = _made()
    classes = tuple(photograph.label for photograph in PHOTOGRAPHS)
    ids = np.array([f"photo-{i:04d}" for i in range(len(pixels))])
    digest = hashlib.sha256(f"demo-photos 1 {pixels.shape}".encode())
    digest.update(pixels)
    digest.update(labels)
    return Dataset(
        spec="demo-photos",
        ids=ids,
        fingerprint=digest.hexdigest(),
        labels=labels,
        classes=classes,
        columns={"planted": planted, "true_class": np.array(classes)[truth]},
        reader=lambda i: Image.fromarray(pixels[i]),
        notes=(_declaration(planted),),
    )


def _declaration(planted: np.ndarray) -> Note:
    repeats = int(np.isin(planted, (REPEAT, SHIFTED)).sum())
    wrong = int((planted == MISLABELLED).sum())
    text = (
        f"{CREDITS}. {repeats} repeated images and {wrong} wrong labels were planted for "
        "practice; the column 'planted' says which"
    )
    return Note("labels", text)


@lru_cache(maxsize=1)
def _made() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """(pixels, true classes, given labels, planted), in a shuffled order."""
    rng = np.random.default_rng(SEED)
    crops = [_crops(photograph, rng) for photograph in PHOTOGRAPHS]
    truth = np.repeat(np.arange(len(crops)), [len(one) for one in crops])
    pixels = np.concatenate(crops)
    planted = np.full(len(pixels), NONE, dtype="U15")
    pixels, truth, planted = _with_repeats(pixels, truth, planted, rng)
    order = rng.permutation(len(pixels))
    pixels = pixels[order]
    truth = truth[order]
    planted = planted[order]
    labels = truth.astype(np.int64)
    free = np.flatnonzero(planted == NONE)
    wrong = rng.choice(free, WRONG, replace=False)
    labels[wrong] = (truth[wrong] + rng.integers(1, len(PHOTOGRAPHS), WRONG)) % len(PHOTOGRAPHS)
    planted[wrong] = MISLABELLED
    pixels.setflags(write=False)
    return pixels, truth, labels, planted


def _with_repeats(
    pixels: np.ndarray, truth: np.ndarray, planted: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The pictures with EXACT and NEAR repeats of some of them behind."""
    chosen = rng.choice(len(pixels), EXACT + NEAR, replace=False)
    exact = pixels[chosen[:EXACT]]
    shifted = np.stack([_shifted(pixels[i], rng) for i in chosen[EXACT:]])
    kinds = np.array([REPEAT] * EXACT + [SHIFTED] * NEAR, dtype=planted.dtype)
    return (
        np.concatenate([pixels, exact, shifted]),
        np.concatenate([truth, truth[chosen]]),
        np.concatenate([planted, kinds]),
    )


def _shifted(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The same picture, moved by one or two pixels and slightly brighter or darker."""
    dx, dy = rng.integers(1, 3, 2)
    moved = np.pad(picture, ((0, dy), (0, dx), (0, 0)), "edge")[dy:, dx:]
    gain = 1 + rng.uniform(-0.04, 0.04)
    return np.clip(moved * gain, 0, 255).astype(np.uint8)


def _crops(photograph: Photograph, rng: np.random.Generator) -> np.ndarray:
    """(count, SIDE, SIDE, 3) uint8 crops of one photograph."""
    image = _read_photograph(photograph)
    out = np.empty((photograph.count, SIDE, SIDE, 3), np.uint8)
    for i in range(photograph.count):
        tries = (_crop(image, photograph, rng) for _ in range(TRIES))
        crop = next((one for one in tries if _contrast(one) > CONTRAST), None)
        crop = crop or _crop(image, photograph, rng)
        if rng.random() < 0.5:
            crop = crop.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        crop = ImageEnhance.Brightness(crop).enhance(rng.uniform(0.75, 1.2))
        out[i] = np.asarray(ImageEnhance.Color(crop).enhance(rng.uniform(0.7, 1.15)))
    return out


def _crop(image: Image.Image, photograph: Photograph, rng: np.random.Generator) -> Image.Image:
    """One square part of the photograph's box, at a random place and size."""
    left, top, right, bottom = np.array(photograph.box) * (image.size * 2)
    share = rng.uniform(photograph.smallest, photograph.largest)
    side = share * min(right - left, bottom - top)
    x = rng.uniform(left, right - side)
    y = rng.uniform(top, bottom - side)
    box = (x, y, x + side, y + side)
    return image.resize((SIDE, SIDE), Image.Resampling.BOX, box=box)


def _contrast(picture: Image.Image) -> float:
    """Standard deviation of the grey values: small for a piece of sky or wall."""
    return float(np.asarray(picture.convert("L"), np.float32).std())


def _read_photograph(photograph: Photograph) -> Image.Image:
    """The photograph, found without importing the package that ships it."""
    spec = find_spec(photograph.package)
    folders = spec.submodule_search_locations if spec else None
    path = Path(folders[0]) / photograph.file if folders else None
    if path is None or not path.is_file():
        names = {"skimage": "scikit-image", "sklearn": "scikit-learn"}
        raise Missing(
            f"the demo's photographs are part of {names[photograph.package]}, which is not "
            f"installed; run pip install {names[photograph.package]}, or open 'demo'."
        )
    with Image.open(path) as image:
        return image.convert("RGB")

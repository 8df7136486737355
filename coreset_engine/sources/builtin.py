"""Sources from arrays of small grey images: scikit-learn's digits, Fashion-MNIST's idx files."""

from __future__ import annotations

import gzip
import hashlib
import math
import struct
import zlib
from pathlib import Path

import numpy as np
from PIL import Image

from coreset_engine.core.errors import BadInput, Missing
from coreset_engine.core.types import Dataset
from coreset_engine.core.user_paths import user_path

FASHION = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)
DEBIAN = Path("/usr/share/datasets/fashion-mnist")
_STEM = {"train": "train", "test": "t10k"}
_LARGEST = 2**30


def open_digits() -> Dataset:
    """The demo: scikit-learn's 1,797 digits, 8 x 8 px in 17 grey levels. labels: the digit."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    pixels = np.rint(digits.images * (255 / 16)).astype(np.uint8)
    ids = np.array([f"digit-{i:04d}" for i in range(len(pixels))])
    return _dataset("demo", ids, pixels, digits.target.astype(np.int64), tuple("0123456789"))


def open_fashion(
    split: str = "train",
    folder: str | Path | None = None,
    *,
    download: bool = True,
    cache: Path | None = None,
) -> Dataset:
    """Fashion-MNIST, 28 x 28 grey, with labels 0..9.

    Looked for in `folder`, else in Debian's dataset-fashion-mnist, else in `cache`, else downloaded
    there by torchvision.

    Parameters
    ----------
    split : {"train", "test"}
        60,000 or 10,000 images.
    folder : path, optional
        Of idx files.
    download : bool
        Whether torchvision may fetch them.
    cache : path, optional
        Where a download is kept; default below the workspace.

    Raises
    ------
    Missing
        When none of these works, with what to do.
    BadInput
        For another split, or a file that is not what its header says.
    """
    if split not in _STEM:
        raise BadInput(f"Fashion-MNIST has no part {split!r}; use 'train' or 'test'.")
    where = user_path(folder).absolute() if folder else _found(split, cache, download)
    pixels = read_idx(_file(where, f"{_STEM[split]}-images-idx3-ubyte"), 3)
    labels = read_idx(_file(where, f"{_STEM[split]}-labels-idx1-ubyte"), 1).astype(np.int64)
    if len(pixels) != len(labels):
        raise BadInput(
            f"{str(where)!r} has {len(pixels)} images but {len(labels)} labels; fetch the files "
            "again."
        )
    if len(labels) and labels.max() >= len(FASHION):
        raise BadInput(
            f"{str(where)!r} has a label {labels.max()}, Fashion-MNIST's go to 9; fetch the files "
            "again."
        )
    ids = np.array([f"{split}-{i:05d}" for i in range(len(pixels))])
    suffix = f":{where}" if folder else ""
    spec = "fashion-mnist" + (":test" if split == "test" else "") + suffix
    test = "fashion-mnist:test" + suffix if split == "train" else None
    return _dataset(spec, ids, pixels, labels, FASHION, test)


def _dataset(
    spec: str,
    ids: np.ndarray,
    pixels: np.ndarray,
    labels: np.ndarray,
    classes: tuple[str, ...],
    test_spec: str | None = None,
) -> Dataset:
    pixels.setflags(write=False)
    digest = hashlib.sha256(f"array 1 {ids[:1].tolist()} {pixels.shape}".encode())
    digest.update(pixels)
    digest.update(labels)
    return Dataset(
        spec=spec,
        ids=ids,
        fingerprint=digest.hexdigest(),
        labels=labels,
        classes=classes,
        reader=lambda i: Image.fromarray(pixels[i]).convert("RGB"),
        test_spec=test_spec,
    )


def _found(split: str, cache: Path | None, download: bool) -> Path:
    torchvisions = [cache / "FashionMNIST" / "raw"] if cache else []
    for folder in [DEBIAN, *torchvisions]:
        if _candidates(folder, f"{_STEM[split]}-images-idx3-ubyte"):
            return folder
    if download and cache:
        _download(cache)
        return torchvisions[0]
    raise Missing(
        "Fashion-MNIST is not on this machine; install Debian's package dataset-fashion-mnist, or "
        "name a "
        "folder with its four idx files as fashion-mnist:FOLDER."
    )


def _download(cache: Path) -> None:
    from torchvision.datasets import FashionMNIST

    try:
        FashionMNIST(cache, download=True)
    except (OSError, RuntimeError) as error:
        raise Missing(
            "Fashion-MNIST is not on this machine and could not be downloaded; install Debian's "
            "package "
            "dataset-fashion-mnist, or name a folder with its four idx files as "
            "fashion-mnist:FOLDER."
        ) from error


def _candidates(folder: Path, stem: str) -> list[Path]:
    return [path for path in (folder / stem, folder / f"{stem}.gz") if path.is_file()]


def _file(folder: Path, stem: str) -> Path:
    candidates = _candidates(folder, stem) or _candidates(folder / "FashionMNIST" / "raw", stem)
    if not candidates:
        raise BadInput(
            f"{str(folder)!r} has no file {stem}[.gz]; name the folder that holds the four idx "
            "files."
        )
    return candidates[0]


def read_idx(path: str | Path, dimensions: int) -> np.ndarray:
    """The uint8 array of an idx file, plain or gzipped.

    Header and length must agree, else BadInput.
    """
    path = Path(path)
    try:
        with gzip.open(path, "rb") if path.suffix == ".gz" else open(path, "rb") as file:
            head = file.read(4 + 4 * dimensions)
            shape = _idx_shape(head, dimensions, path)
            count = math.prod(shape)
            data = file.read(
                count + 1
            )  # one more than declared, so that a longer (or bombed) file is noticed
    except (OSError, EOFError, zlib.error) as error:
        raise BadInput(
            f"{str(path)!r} cannot be read as an idx file ({error}); fetch it again."
        ) from error
    if len(data) != count:
        relation = "more" if len(data) > count else f"only {len(data)}"
        raise BadInput(
            f"{str(path)!r} declares {count} bytes but holds {relation}; fetch it again."
        )
    return np.frombuffer(data, np.uint8).reshape(shape).copy()


def _idx_shape(head: bytes, dimensions: int, path: Path) -> tuple[int, ...]:
    if len(head) != 4 + 4 * dimensions or head[:4] != bytes((0, 0, 8, dimensions)):
        raise BadInput(
            f"{str(path)!r} is not an idx file of unsigned bytes in {dimensions} dimensions; fetch "
            "it "
            "again."
        )
    shape = struct.unpack(f">{dimensions}I", head[4:])
    if math.prod(shape) > _LARGEST:
        raise BadInput(
            f"{str(path)!r} declares the shape {shape}, over the limit of {_LARGEST:,} bytes."
        )
    return shape

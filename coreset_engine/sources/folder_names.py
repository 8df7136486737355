"""What the name of a folder, or of a part of a dataset, looks like: split, part, date, storage."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence

from coreset_engine.sources.frames import VIDEOS

TRAIN = frozenset(("train", "training", "trainval", "trn"))
TEST = frozenset(("test", "testing", "tst", "eval", "evaluation", "holdout", "heldout"))
VALIDATION = frozenset(("val", "valid", "validation", "dev", "minival"))
OTHER_SPLITS = frozenset(
    ("unlabeled", "unlabelled", "labeled", "labelled", "extra", "query", "gallery")
)
STORAGE = frozenset(
    "image images img imgs picture pictures pic pics photo photos data dataset datasets raw jpg "
    "jpeg jpegimages png original originals frames samples sample source src input inputs all set "
    "bounding box ground truth groundtruth gt masks mask annotations annotation labels seg segmentation "
    "segmentations segmentationclass segmentationobject matte mattes trimap trimaps".split()
)
PARTS = frozenset(
    "fold part batch chunk shard seq sequence session clip video vid frame run day week month year "
    "date dir folder set group site sensor device node disk roll take drive tile patch block slice "
    "view split worker page volume vol scan scene station trip night flight cam camera".split()
)
MASKS = frozenset(
    "mask masks gt groundtruth annotation annotations label labels seg segmentation segmentations "
    "segmentationclass segmentationobject matte mattes trimap trimaps".split()
)
# Names under which collections of several domains keep the same classes.
DOMAINS = frozenset(
    "amazon dslr webcam caltech art clipart product real world photo cartoon sketch painting "
    "infograph quickdraw mnist svhn usps synth syn labelme sun voc".split()
)
SIDES = frozenset("left right front rear back top bottom side center centre".split())
_TOKEN = re.compile(r"[a-z]+|[0-9]+")
_DATE = re.compile(
    r"(19|20)\d\d([-_.]?(0[1-9]|1[0-2])([-_.]?(0[1-9]|[12]\d|3[01])([T _-]?\d{2}[-_:.h]?\d{2}"
    r"([-_:.m]?\d{2})?)?)?)?|(0[1-9]|[12]\d|3[01])[-_.](0[1-9]|1[0-2])[-_.](19|20)\d\d"
)
_HASH = re.compile(r"[0-9a-f]{2,3}")


def split_of(name: str) -> str | None:
    """ "train", "test", "val" or "other" for a folder's name that looks like a split, else None."""
    tokens = _TOKEN.findall(name.lower())
    kinds = [(TRAIN, "train"), (TEST, "test"), (VALIDATION, "val"), (OTHER_SPLITS, "other")]
    matching = [kind for words, kind in kinds if words & set(tokens)]
    rest = set(tokens) - TRAIN - TEST - VALIDATION - OTHER_SPLITS - STORAGE - PARTS
    if not matching or any(len(token) > 1 and not token.isdigit() for token in rest):
        return None
    return matching[0]


def is_mask_folder(name: str) -> bool:
    """Whether a folder is called as those are that hold masks of pictures, not pictures."""
    tokens = _TOKEN.findall(name.lower())
    return bool(tokens) and (set(tokens) <= MASKS | {"ground", "truth"})


def are_domains(names: Sequence[str]) -> bool:
    """Whether folder names are those of well-known domains: amazon, dslr, Real World."""
    return all(set(_TOKEN.findall(name.lower())) <= DOMAINS for name in names)


def is_storage(name: str) -> bool:
    """Whether a folder's name only says that pictures are kept there: images, data."""
    tokens = set(_TOKEN.findall(name.lower()))
    return bool(tokens) and tokens <= STORAGE


def level_kind(names: Sequence[str]) -> str | None:
    """What all the folder names of one level are ("splits", "dates", ...), None for classes."""
    if all(split_of(name) for name in names):
        return "splits"
    if all(os.path.splitext(name)[1].lower() in VIDEOS for name in names):
        return "videos"
    if all(_DATE.fullmatch(name) for name in names):
        return "dates"
    tokens = [set(_TOKEN.findall(name.lower())) for name in names]
    if all(words and words <= STORAGE for words in tokens):
        return "storage folders"
    if all(words & PARTS and _is_numbering(words - PARTS) for words in tokens):
        return "parts"
    plain = [words and words <= STORAGE for words in tokens]
    if all(split_of(name) or storage for name, storage in zip(names, plain, strict=True)):
        return "splits"
    lowered = [name.lower() for name in names]
    if len(names) >= 16 and all(_HASH.fullmatch(name) for name in lowered):
        return "parts" if any(not name.isdigit() for name in lowered) else None
    return None


def _is_numbering(tokens: set[str]) -> bool:
    return all(token.isdigit() or len(token) == 1 or token in SIDES for token in tokens)

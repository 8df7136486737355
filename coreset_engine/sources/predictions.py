"""A model's own predictions for the images of a source: class, probabilities or logits per image.

Read from CSV, Parquet, JSON Lines or a FiftyOne field, and joined to the images as label files are.
A value that cannot be meant stops with the value, the constraint and the remedy: what is wrong in a
table of probabilities is wrong in all that is computed from it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from coreset_engine.core.counted import counted
from coreset_engine.core.errors import BadInput
from coreset_engine.core.types import Dataset
from coreset_engine.core.user_paths import user_path
from coreset_engine.sources.label_formats import ID_COLUMNS, LabelRow
from coreset_engine.sources.label_matching import match_rows

PREFIXES = (
    ("probability_", "probabilities"),
    ("prob_", "probabilities"),
    ("p_", "probabilities"),
    ("logits_", "logits"),
    ("logit_", "logits"),
)
LISTS = {"probabilities": "probabilities", "probs": "probabilities", "logits": "logits"}
CLASS_COLUMNS = ("prediction", "predicted_class", "predicted", "pred", "label", "class")
CONFIDENCE_COLUMNS = ("confidence", "probability", "prob", "score")
COVERED = 0.9  # share of the images that must have a prediction
SUM_TOLERANCE = 0.01
EXAMPLES = 3


@dataclass(frozen=True, eq=False)
class Predictions:
    """What a model says of N images of a source.

    Attributes
    ----------
    name : str
        Where they came from.
    kind : str
        "class", "probabilities" or "logits".
    classes : tuple of str
        C classes.
    predicted : (N,) int64
        Position in `classes`; -1 = no prediction for the image.
    probabilities : (N, C) float32 or None
        NaN rows without a prediction; None for kind "class".
    logits : (N, C) float32 or None
    confidence : (N,) float32
        Of the predicted class; NaN where it is not known.
    unmatched : int
        Rows that name no image of the source.
    """

    name: str
    kind: str
    classes: tuple[str, ...]
    predicted: np.ndarray
    probabilities: np.ndarray | None
    logits: np.ndarray | None
    confidence: np.ndarray
    unmatched: int = 0

    @property
    def missing(self) -> int:
        """Images without a prediction."""
        return int((self.predicted < 0).sum())

    @cached_property
    def key(self) -> str:
        """What identifies the values, independent of the file."""
        seen = hashlib.sha256("\n".join(self.classes).encode())
        for values in (self.predicted, self.confidence, self.probabilities, self.logits):
            if values is not None:
                seen.update(np.ascontiguousarray(values).data)
        return seen.hexdigest()

    @cached_property
    def entropy(self) -> np.ndarray:
        """(N,) float32 -sum_c p_c log p_c, in nats; high = uncertain; NaN where it is not known."""
        if self.probabilities is None:
            return np.full(len(self.predicted), np.nan, np.float32)
        p = self.probabilities
        entropies = -(p * np.log(np.maximum(p, 1e-12))).sum(axis=1)
        return np.maximum(entropies, 0).astype(np.float32)

    @cached_property
    def margin(self) -> np.ndarray:
        """(N,) float32 largest probability minus the second; low = uncertain."""
        if self.probabilities is None:
            return np.full(len(self.predicted), np.nan, np.float32)
        two = np.partition(self.probabilities, -2, axis=1)[:, -2:]
        return (two[:, 1] - two[:, 0]).astype(np.float32)

    @cached_property
    def least_confidence(self) -> np.ndarray:
        """(N,) float32 1 - probability of the predicted class; high = uncertain."""
        return (1 - self.confidence).astype(np.float32)

    def names(self) -> np.ndarray:
        """(N,) str predicted class names, "" without a prediction."""
        called = np.array([*self.classes, ""], object)
        return called[self.predicted]


def read_predictions(where: str | Path, dataset: Dataset) -> Predictions:
    """The predictions in a file or field, joined to the images of `dataset`.

    Parameters
    ----------
    where
        A .csv, .tsv, .parquet or .jsonl file, or "fiftyone:NAME/FIELD". Columns: one that names the
        image; and p_CLASS (or prob_CLASS) for probabilities, logit_CLASS for logits, columns named
        like the classes, a list column `probabilities` or `logits` in the order of the source's
        classes, or `prediction` with, if known, `confidence`.

    Raises
    ------
    BadInput
        With value, constraint and remedy, for anything that cannot be meant.
    """
    text = str(where)
    if text.startswith("fiftyone:"):
        from coreset_engine.sources.fiftyone_labels import prediction_table

        table = prediction_table(text.partition(":")[2])
    else:
        table = _table(user_path(text))
    positions, unmatched = _places(table, dataset, text)
    values = _values(table, dataset, text)
    made = _joined(values, positions, len(dataset), text, unmatched)
    _check_classes(made, dataset)
    _check_covered(made, dataset)
    return made


def _table(path: Path) -> Any:
    """The file as a DataFrame of whatever it holds."""
    import pandas as pd

    if not path.is_file():
        raise BadInput(f"{str(path)!r} is not a file of predictions; check the path.")
    try:
        ending = path.suffix.lower()
        if ending in (".parquet", ".pq"):
            table = pd.read_parquet(path)
        elif ending in (".jsonl", ".ndjson"):
            table = pd.read_json(path, lines=True, dtype=False)
        else:
            table = pd.read_csv(path, sep=None, engine="python", dtype=str, encoding="utf-8-sig")
    except (OSError, ValueError, ImportError, UnicodeError) as error:
        reason = " ".join(str(error).split())[:160]
        raise BadInput(
            f"{str(path)!r} cannot be read as a table of predictions ({reason}); give CSV, Parquet "
            "or JSON Lines."
        ) from None
    except Exception as error:  # pandas and its parsers have errors of their own
        if type(error).__module__.partition(".")[0] not in ("pandas", "pyarrow", "_csv"):
            raise
        reason = " ".join(str(error).split())[:160]
        raise BadInput(
            f"{str(path)!r} cannot be read as a table of predictions ({reason}); give CSV, Parquet "
            "or JSON Lines."
        ) from None
    if not len(table):
        raise BadInput(f"{str(path)!r} holds no row; give one prediction per image.")
    table.columns = [str(name).strip() for name in table.columns]
    return table


def _places(table: Any, dataset: Dataset, name: str) -> tuple[np.ndarray, int]:
    """(rows,) int64 position of each row's image, -1 = none; and how many rows have none."""
    ids = [column for column in table.columns if column.lower() in ID_COLUMNS]
    if not ids:
        raise BadInput(
            f"{name!r} has no column that names the images (its columns: "
            f"{_some(list(table.columns))}); call it id."
        )
    texts = {column.lower(): table[column].tolist() for column in ids}
    rows = [
        LabelRow({column: str(values[i]) for column, values in texts.items()}, ("x",), f"row {i}")
        for i in range(len(table))
    ]
    keys = match_rows(rows, dataset.ids, dataset.paths)
    if not any(keys):
        first = next(iter(rows[0].keys.values()))
        raise BadInput(
            f"{name!r} predicts {counted(len(rows), 'image')}, none of them in this source, for "
            f"example {first!r}; ids here look like {str(dataset.ids[0])!r}."
        )
    number = {str(key): i for i, key in enumerate(dataset.ids)}
    positions = np.array([-1 if key is None else number[key] for key in keys], np.int64)
    twice = np.flatnonzero(np.bincount(positions[positions >= 0], minlength=len(dataset)) > 1)
    if len(twice):
        raise BadInput(
            f"{name!r} predicts {str(dataset.ids[twice[0]])!r} more than once ({len(twice):,} such "
            "images); give one row per image."
        )
    return positions, int((positions < 0).sum())


@dataclass(frozen=True, eq=False)
class _Values:
    """kind, classes, and the rows' values: (rows, C), or classes and confidences for "class"."""

    kind: str
    classes: tuple[str, ...]
    values: np.ndarray | None
    codes: np.ndarray | None = None
    confidence: np.ndarray | None = None


def _values(table: Any, dataset: Dataset, name: str) -> _Values:
    for prefix, kind in PREFIXES:
        own = [column for column in table.columns if column.lower().startswith(prefix)]
        if len(own) > 1:
            classes = tuple(column[len(prefix) :] for column in own)
            return _Values(kind, classes, _numbers(table, own, name))
    for column in table.columns:
        if column.lower() in LISTS:
            return _from_lists(table, column, dataset, name)
    named = [column for column in table.columns if column in set(dataset.classes)]
    if len(named) > 1:
        values = _numbers(table, named, name)
        kind = "probabilities" if _is_share(values) else "logits"
        return _Values(kind, tuple(named), values)
    return _from_classes(table, name)


def _is_share(values: np.ndarray) -> bool:
    """Whether every number could be a probability."""
    return bool((values >= 0).all() and (values <= 1 + SUM_TOLERANCE).all())


def _numbers(table: Any, columns: Sequence[str], name: str) -> np.ndarray:
    """(rows, C) float64. Raises BadInput for what is not a finite number."""
    import pandas as pd

    numbers = np.empty((len(table), len(columns)))
    for at, column in enumerate(columns):
        numbers[:, at] = pd.to_numeric(table[column], errors="coerce")
    bad = np.argwhere(~np.isfinite(numbers))
    if len(bad):
        row, at = map(int, bad[0])
        raise BadInput(
            f"{name!r}: {columns[at]} of row {row + 1} is {table[columns[at]].iloc[row]!r}, and "
            f"every value must be a finite number ({len(bad):,} are not); write the model's "
            "output, or leave the row out."
        )
    return numbers


def _from_lists(table: Any, column: str, dataset: Dataset, name: str) -> _Values:
    classes = tuple(table.attrs.get("classes") or dataset.classes)
    lists = table[column].tolist()
    if any(isinstance(item, str) for item in lists):
        lists = [_parsed(item, column, row, name) for row, item in enumerate(lists)]
    lengths = {len(item) if hasattr(item, "__len__") else -1 for item in lists}
    if len(lengths) != 1 or -1 in lengths:
        raise BadInput(
            f"{name!r}: the lists in {column} have different lengths ({_some(sorted(lengths))}); "
            "give one value per class in every row."
        )
    width = lengths.pop()
    if classes and width != len(classes):
        raise BadInput(
            f"{name!r}: {column} has {width} values per row and the source has {len(classes)} "
            f"classes; name the classes in the columns instead (p_{classes[0]}, ...)."
        )
    classes = classes or tuple(map(str, range(width)))
    import pandas as pd

    columns = pd.DataFrame(lists, columns=[f"{column}[{c}]" for c in classes])
    return _Values(LISTS[column.lower()], classes, _numbers(columns, list(columns.columns), name))


def _parsed(item: Any, column: str, row: int, name: str) -> list[Any]:
    import json

    try:
        parsed = json.loads(item)
        if isinstance(parsed, list):
            return parsed
    except (TypeError, ValueError):
        pass
    raise BadInput(
        f"{name!r}: {column} of row {row + 1} is {str(item)[:40]!r}, not a list of numbers; write "
        "it as [0.1, 0.9]."
    )


def _from_classes(table: Any, name: str) -> _Values:
    import pandas as pd

    lower = {column.lower(): column for column in table.columns}
    column = next((lower[one] for one in CLASS_COLUMNS if one in lower), None)
    if column is None:
        raise BadInput(
            f"{name!r} has no predictions (its columns: {_some(list(table.columns))}); name them "
            "p_CLASS for probabilities, logit_CLASS for logits, or prediction for a class."
        )
    texts = table[column]
    if texts.isna().any():
        row = int(np.flatnonzero(texts.isna())[0])
        raise BadInput(
            f"{name!r}: {column} of row {row + 1} is empty; name the class, or leave the row out."
        )
    classes, codes = np.unique(texts.astype(str).str.strip(), return_inverse=True)
    own = next((lower[one] for one in CONFIDENCE_COLUMNS if one in lower), None)
    confidence = None if own is None else _confidences(pd, table[own], own, name)
    return _Values("class", tuple(map(str, classes)), None, codes.astype(np.int64), confidence)


def _confidences(pd: Any, column: Any, title: str, name: str) -> np.ndarray:
    values = pd.to_numeric(column, errors="coerce").to_numpy(float)
    bad = np.flatnonzero(~((values >= 0) & (values <= 1)))
    if len(bad):
        raise BadInput(
            f"{name!r}: {title} of row {bad[0] + 1} is {column.iloc[bad[0]]!r}, and a confidence "
            "lies between 0 and 1; give the probability of the predicted class."
        )
    return values


def _joined(
    values: _Values, positions: np.ndarray, n: int, name: str, unmatched: int
) -> Predictions:
    """The rows' values at the places of their images."""
    here = positions >= 0
    predicted = np.full(n, -1, np.int64)
    confidence = np.full(n, np.nan, np.float32)
    if values.values is None:
        assert values.codes is not None  # of kind "class"
        predicted[positions[here]] = values.codes[here]
        if values.confidence is not None:
            confidence[positions[here]] = values.confidence[here]
        return Predictions(
            name, "class", values.classes, predicted, None, None, confidence, unmatched
        )
    logits = None
    shares = values.values
    if values.kind == "logits":
        logits = _placed(values.values, positions, n)
        shares = _softmax(values.values)
    else:
        _check_sums(shares, name)
    probabilities = _placed(shares, positions, n)
    predicted[positions[here]] = shares[here].argmax(axis=1)
    confidence[positions[here]] = shares[here].max(axis=1)
    return Predictions(
        name, values.kind, values.classes, predicted, probabilities, logits, confidence, unmatched
    )


def _placed(values: np.ndarray, positions: np.ndarray, n: int) -> np.ndarray:
    out = np.full((n, values.shape[1]), np.nan, np.float32)
    out[positions[positions >= 0]] = values[positions >= 0]
    return out


def _softmax(logits: np.ndarray) -> np.ndarray:
    shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
    return shifted / shifted.sum(axis=1, keepdims=True)


def _check_sums(shares: np.ndarray, name: str) -> None:
    total = shares.sum(axis=1)
    bad = np.flatnonzero((np.abs(total - 1) > SUM_TOLERANCE) | (shares < 0).any(axis=1))
    if len(bad):
        row = int(bad[0])
        negative = shares[row].min()
        what = f"hold {negative:g}" if negative < 0 else f"sum to {total[row]:.3g}"
        raise BadInput(
            f"{name!r}: the probabilities of row {row + 1} {what}, but probabilities must be at "
            "least 0 and sum to 1 (wrong in"
            f" {counted(len(bad), 'row')}); give the model's softmax, or "
            "call the columns logit_CLASS if they are logits."
        )


def _check_classes(made: Predictions, dataset: Dataset) -> None:
    known = set(dataset.classes)
    if known and not known & set(made.classes):
        raise BadInput(
            f"{made.name!r} predicts the classes {_some(made.classes)}, none of which is a class "
            f"of this source ({_some(dataset.classes)}); use the source's class names."
        )


def _check_covered(made: Predictions, dataset: Dataset) -> None:
    n = len(dataset)
    if n - made.missing < COVERED * n:
        raise BadInput(
            f"{made.name!r} predicts {n - made.missing:,} of {n:,} images, and at least "
            f"{COVERED:.0%} must have a prediction; run the model on the others too, or open only "
            "the images with predictions."
        )


def _some(names: Sequence[Any]) -> str:
    shown = ", ".join(repr(name) for name in list(names)[:EXAMPLES])
    return f"{shown}, ..." if len(names) > EXAMPLES else shown

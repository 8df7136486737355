"""Labels, labelling rounds, and decisions on probable label errors, kept per dataset.

Append-only logs beside those of corrections (`artifacts.history`), by id, so that no label is lost
when a selection is made again, and none is requested twice.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from coreset_engine.artifacts import history
from coreset_engine.core.counted import counted
from coreset_engine.core.errors import BadInput

LABELS = "labels"
ROUNDS = "rounds"
DECISIONS = "label-decisions"
SUSPECTS = "label-errors"
CHOICES = ("confirm", "correct", "ignore")
EXAMPLES = 3


@dataclass(frozen=True)
class AddedLabels:
    """What an import of labels changed.

    Attributes
    ----------
    read : int
        Images with a label in the import.
    new, changed, same : int
        Of these: had no label before, had another, had this one.
    changed_examples : list of (id, before, now)
    """

    read: int
    new: int
    changed: int
    same: int
    changed_examples: list[tuple[str, str, str]] = field(default_factory=list)

    def sentence(self) -> str:
        """The counts as text."""
        text = f"{counted(self.read, 'label')} read: {self.new:,} new, {self.changed:,} changed"
        if self.changed_examples:
            some = "; ".join(
                f"{key!r}: {old!r} to {now!r}" for key, old, now in self.changed_examples
            )
            text += f" (for example {some})"
        return f"{text}, {self.same:,} known already."


@dataclass(frozen=True)
class LabelState:
    """Labels and rounds of a dataset as they stand.

    Attributes
    ----------
    labels : dict
        Image id -> class name.
    rounds : list of list of str
        Ids that each round proposed, best first; position = number of the round.
    """

    labels: dict[str, str]
    rounds: list[list[str]]

    @property
    def round_of(self) -> dict[str, int]:
        """Image id -> number of the round that proposed it."""
        return {key: number for number, ids in enumerate(self.rounds) for key in ids}

    def context(self) -> list[str]:
        """Ids proposed or labelled so far: rounds in order, then labels from elsewhere."""
        proposed = [key for ids in self.rounds for key in ids]
        return list(dict.fromkeys([*proposed, *sorted(self.labels)]))


def read(fingerprint: str, home: Path | str) -> LabelState:
    """The state of a dataset; empty without labels."""
    labels: dict[str, str] = {}
    for entry in history.entries(LABELS, fingerprint, home):
        labels_of_entry = entry.get("labels")
        if isinstance(labels_of_entry, dict):
            labels |= {str(key): str(name) for key, name in labels_of_entry.items()}
    rounds = [
        [str(key) for key in entry["ids"]]
        for entry in history.entries(ROUNDS, fingerprint, home)
        if isinstance(entry.get("ids"), list)
    ]
    return LabelState(labels, rounds)


def add_labels(
    fingerprint: str, home: Path | str, labels: Mapping[str, str], origin: str = ""
) -> AddedLabels:
    """Keep labels of a dataset's images; the latest label of an image counts.

    Parameters
    ----------
    labels
        Image id -> class name.
    origin
        The file they came from, for people.
    """
    known = read(fingerprint, home).labels
    fresh = {key: name for key, name in labels.items() if known.get(key) != name}
    if fresh:
        history.add(LABELS, fingerprint, dict(labels=fresh, origin=origin), home)
    return compared(known, labels)


def compared(known: Mapping[str, str], labels: Mapping[str, str]) -> AddedLabels:
    """What `labels` would add to the `known` ones, both id -> class name."""
    changed = [
        (key, known[key], name)
        for key, name in labels.items()
        if key in known and known[key] != name
    ]
    new = sum(key not in known for key in labels)
    same = len(labels) - new - len(changed)
    return AddedLabels(len(labels), new, len(changed), same, changed[:EXAMPLES])


def undo_labels(fingerprint: str, home: Path | str) -> None:
    """Undo the latest import of labels."""
    history.undo(LABELS, fingerprint, home)


def add_round(
    fingerprint: str, home: Path | str, ids: Iterable[str], about: Mapping[str, Any]
) -> None:
    """Keep a round of labelling.

    Parameters
    ----------
    fingerprint : str
        Of the dataset.
    home : path
        The workspace.
    ids : iterable of str
        The images the round proposed.
    about : mapping
        JSON-able facts worth keeping (method, folder).
    """
    history.add(ROUNDS, fingerprint, dict(about) | dict(ids=[str(key) for key in ids]), home)


def undo_round(fingerprint: str, home: Path | str) -> None:
    """Undo the latest round: its images may be proposed again."""
    history.undo(ROUNDS, fingerprint, home)


def rounds(fingerprint: str, home: Path | str) -> list[dict[str, Any]]:
    """Entries of the rounds, oldest first, with ids, method, out and `at`."""
    return [
        entry
        for entry in history.entries(ROUNDS, fingerprint, home)
        if isinstance(entry.get("ids"), list)
    ]


def decide(fingerprint: str, home: Path | str, image: str, decision: str, label: str = "") -> None:
    """Keep a decision on a probable label error; a correction also becomes the image's label.

    Parameters
    ----------
    image
        Its id.
    decision
        "confirm" (the label is right), "correct" (it is `label`) or "ignore" (do not ask again).
    label
        The right class, for "correct".

    Raises
    ------
    BadInput
        For another decision, or a correction without a class.
    """
    if decision not in CHOICES:
        raise BadInput(f"decision {decision!r} is unknown; choose one of {', '.join(CHOICES)}.")
    if decision == "correct" and not label.strip():
        raise BadInput(f"a correction of {image!r} needs a class; name the right one.")
    entry = dict(id=image, decision=decision, label=label.strip())
    history.add(DECISIONS, fingerprint, entry, home)
    if decision == "correct":
        add_labels(fingerprint, home, {image: label.strip()}, "label errors")


def decisions(fingerprint: str, home: Path | str) -> dict[str, dict[str, Any]]:
    """Image id -> its latest decision: decision and label."""
    return {
        str(entry["id"]): entry
        for entry in history.entries(DECISIONS, fingerprint, home)
        if entry.get("id") and entry.get("decision") in CHOICES
    }


def undo_decision(fingerprint: str, home: Path | str) -> None:
    """Undo the latest decision, and the label it gave."""
    entries = history.entries(DECISIONS, fingerprint, home)
    if not entries:
        return
    history.undo(DECISIONS, fingerprint, home)
    if entries[-1].get("decision") == "correct":
        undo_labels(fingerprint, home)


def keep_suspects(
    fingerprint: str, home: Path | str, key: str, scores: Mapping[str, float]
) -> None:
    """Keep which labels are probably wrong, for exports; the latest result counts.

    Parameters
    ----------
    key
        What identifies the result: the same one is kept once.
    scores
        Image id -> score in [0, 1] of the suspected labels.
    """
    logged = history.entries(SUSPECTS, fingerprint, home)
    if not logged or logged[-1].get("key") != key:
        history.add(SUSPECTS, fingerprint, dict(key=key, scores=dict(scores)), home)


def suspects(fingerprint: str, home: Path | str) -> dict[str, float]:
    """Image id -> score of the labels that are probably wrong; {} before they were searched for."""
    logged = history.entries(SUSPECTS, fingerprint, home)
    scores = logged[-1].get("scores") if logged else {}
    return scores if isinstance(scores, dict) else {}

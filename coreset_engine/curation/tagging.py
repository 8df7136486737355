"""Tags of a run's images: given by filter, ids or a file, and what exports say of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from coreset_engine.core.errors import BadInput
from coreset_engine.core.export_tags import is_export_tag
from coreset_engine.core.filter_columns import Column, apply_filter, require_some
from coreset_engine.core.filters import TAG, Filter, filter_of
from coreset_engine.core.ids import positions_of
from coreset_engine.curation import tags
from coreset_engine.curation.run_protocol import CuratedRun
from coreset_engine.curation.tags import TagChange


def tag(
    run: CuratedRun,
    name: str,
    *,
    where: Filter | str | None = None,
    ids: Iterable[str] | None = None,
    remove: bool = False,
) -> TagChange:
    """Tag images, or remove a tag.

    Parameters
    ----------
    run
        Of the dataset; nothing but what the filter asks for is computed.
    name
        A word without spaces.
    where
        Filter, or its text: the images that pass.
    ids
        Images by name; without `where` and `ids`, `remove` takes the tag from all.
    remove
        Take it instead of giving it.

    Returns
    -------
    TagChange
        How many images changed, and how many have the tag now.

    Raises
    ------
    BadInput
        For a name that cannot be a tag, unknown ids, a filter that leaves nothing, no images named.
    """
    home = run.store.home
    fingerprint = run.dataset.fingerprint
    chosen = _chosen(run, where, ids)
    if remove:
        return tags.remove(fingerprint, name, chosen, home)
    if chosen is None:
        raise BadInput(
            f"tag {name!r} needs images; select them with a filter (--where) or ids (--ids FILE)."
        )
    return tags.add(fingerprint, name, chosen, home)


def _chosen(
    run: CuratedRun, where: Filter | str | None, ids: Iterable[str] | None
) -> list[str] | None:
    wanted = filter_of(where)
    if wanted is None and ids is None:
        return None
    known = run.dataset.ids
    mask = np.ones(len(known), bool)
    if wanted is not None:
        mask = require_some(apply_filter(wanted, run.columns), run.columns).mask
    if ids is None:
        return [str(key) for key in known[np.flatnonzero(mask)]]
    names = [ids] if isinstance(ids, str) else [str(one) for one in ids]
    positions = positions_of(known, names)
    if (positions < 0).any():
        missing = names[int(np.argmax(positions < 0))]
        raise BadInput(
            f"{missing!r} is not an id of this source ({int((positions < 0).sum())} unknown in "
            "all); ids "
            f"here look like {str(known[0])!r}."
        )
    return [str(key) for key in known[positions[mask[positions]]]]


def import_tags(run: CuratedRun, where: Path | str) -> dict[str, int]:
    """Import tags from a table with an id and a `tags` column, or from a FiftyOne dataset.

    Such as an exported selection.csv.

    Parameters
    ----------
    where
        A file, or "fiftyone:NAME".

    Returns
    -------
    dict
        Tag -> images that got it. Tags of exports themselves ("coreset", "coreset:...") stay out.

    Raises
    ------
    BadInput
        When there are no such columns, or no row names an image of this source.
    """
    wanted: dict[str, list[str]] = {}
    for key, names in _read_tags(run, str(where)).items():
        for name in names:
            if not is_export_tag(name):
                wanted.setdefault(tags.check_name(name), []).append(key)
    return {
        name: tags.add(run.dataset.fingerprint, name, ids, run.store.home).changed
        for name, ids in sorted(wanted.items())
    }


def _read_tags(run: CuratedRun, where: str) -> dict[str, list[str]]:
    """Image id -> tags."""
    if where.startswith("fiftyone:"):
        from coreset_engine.sources.fiftyone_labels import sample_tags

        samples = sample_tags(where.partition(":")[2])
        positions = _places_of_samples(run, samples)
        tags_of = {
            str(run.dataset.ids[position]): [_one_word(name) for name in names]
            for position, (_, _, names) in zip(positions.tolist(), samples)
            if position >= 0
        }
        if not tags_of:
            raise BadInput(
                f"{where!r} has none of these {len(run.dataset):,} images; give the dataset they "
                "came from, or one that a selection of this source was exported to."
            )
        return tags_of
    from coreset_engine.sources.label_import import import_labels

    rows = import_labels(where, label_column="tags")
    matched = rows.match(
        run.dataset.ids, run.dataset.paths, fingerprint=run.dataset.fingerprint
    ).labels
    return {key: tags.split_tags(cell) for key, cell in matched.items()}


def _places_of_samples(run: CuratedRun, samples: list[tuple[str, str, list[str]]]) -> np.ndarray:
    """(S,) int64: the image of each sample by its id, else by its file, -1 = none."""
    positions = positions_of(run.dataset.ids, [key for key, _, _ in samples])
    if run.dataset.paths is None:
        return positions
    by_file = positions_of(run.dataset.paths, [path for _, path, _ in samples])
    return np.where(positions >= 0, positions, by_file)


def _one_word(name: str) -> str:
    """FiftyOne's tags may have blanks, ours have none."""
    return "-".join(tags.split_tags(name))


def frozen(run: CuratedRun, where: Filter | str | None) -> Filter:
    """The images that pass a filter now, as a filter of their ids.

    For parts of a run, where clusters differ, and for results that are kept while tags change.
    """
    wanted = filter_of(where)
    assert wanted is not None
    filtered = require_some(apply_filter(wanted, run.columns), run.columns)
    return Filter.one_of("id", [str(key) for key in run.dataset.ids[np.flatnonzero(filtered.mask)]])


def tag_counts(run: CuratedRun) -> dict[str, int]:
    """Tag -> number of images, the source's own tags among them."""
    column: Column = run.columns.column(TAG)
    counts = column.values.sum(axis=1)
    return {str(name): int(count) for name, count in zip(column.categories, counts)}


def tag_texts(run: CuratedRun) -> np.ndarray | None:
    """(N,) str, the tags of each image with blanks between; None where no image has one."""
    column: Column = run.columns.column(TAG)
    return column.texts() if len(column.categories) else None


def recorded_tags(run: CuratedRun, where: Filter | None) -> Mapping[str, list[str]]:
    """What a manifest keeps of our tags.

    Those that a filter asks for, with their ids, so that the selection can be reproduced after tags
    have changed.
    """
    if where is None or TAG not in where.columns:
        return {}
    asked = set(_tags_in(where))
    tags = run.tags
    everything = any(test.op != "tag" for test in _tests_of(where) if test.column == TAG)
    return {
        name: [str(key) for key in ids] for name, ids in tags.items() if everything or name in asked
    }


def _tests_of(where: Filter) -> list[Filter]:
    if where.parts:
        return [test for part in where.parts for test in _tests_of(part)]
    return [where]


def _tags_in(where: Filter) -> list[str]:
    return [name for test in _tests_of(where) if test.op == "tag" for name in test.values]

"""Search images by example images or text: queries as a direction, and the nearest images.

A query is ids of the source, files or pictures from anywhere (embedded by the run's encoder, one
embedding each), vectors, or a text for encoders with a text tower. Several images mean their
centre.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from coreset_engine.core.device import resolve_device
from coreset_engine.core.errors import BadInput, Missing
from coreset_engine.core.filter_columns import apply_filter, require_some
from coreset_engine.core.filters import Filter, filter_of
from coreset_engine.core.ids import positions_of
from coreset_engine.core.types import Dataset, Progress, silent
from coreset_engine.core.user_paths import user_path
from coreset_engine.curation.run_protocol import CuratedRun
from coreset_engine.curation.search_index import best, search_index
from coreset_engine.selection.queries import centre, cosines, query_ids
from coreset_engine.selection.request import SelectionRequest

if TYPE_CHECKING:
    from coreset_engine.embedding.encoders.builders import Concatenated, Encoder

COUNT = 200
POOL = 5  # times `count` most similar images that a diverse result is taken from
TEXT = "text:"


@dataclass(frozen=True, eq=False)
class Query:
    """A direction to search in.

    Parameters
    ----------
    direction : ndarray, (d,) float32 of unit length
    text : str
        What was requested, as text.
    members : ndarray, (m,) int64
        Positions of the images that make up the query; they are never among the results.
    embedded : int
        Pictures and texts that had to be embedded.
    dims : (int, int) or None
        First dimension of the vectors that is compared, and the one after the last; None = all.
    """

    direction: np.ndarray
    text: str
    members: np.ndarray = field(default_factory=lambda: np.empty(0, np.int64))
    embedded: int = 0
    dims: tuple[int, int] | None = None

    def of(self, vectors: np.ndarray) -> np.ndarray:
        """The dimensions of `vectors` (N, D) that are compared."""
        return vectors if self.dims is None else vectors[:, self.dims[0] : self.dims[1]]


@dataclass(frozen=True, eq=False)
class FindResult:
    """Images found, most similar first; with `diverse`, in the order they were chosen.

    Parameters
    ----------
    ids : ndarray, (k,) str
    indices : ndarray, (k,) int64
        Positions in the source.
    similarity : ndarray, (k,) float32 in [-1, 1]
        Cosine to the query.
    query : str
        What was requested.
    embedded : int
        Pictures and texts embedded for this query.
    recall : float
        Share of the truly most similar that the search finds on average; 1 where it is exact.
    seconds : float
        From the query's direction to the result.
    where : Filter or None
        What the result was limited to.
    """

    ids: np.ndarray
    indices: np.ndarray
    similarity: np.ndarray
    query: str
    embedded: int = 0
    recall: float = 1.0
    seconds: float = 0.0
    where: Filter | None = None

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def filter(self) -> Filter:
        """A filter that leaves these images."""
        return Filter.one_of("id", [str(key) for key in self.ids])

    def request(self, method: str, count: int, **values: Any) -> SelectionRequest:
        """A selection of `count` images that starts from these as must-keep."""
        kept = [str(key) for key in self.ids]
        return SelectionRequest.of(method, count=count, must_keep=kept, **values)

    def as_json(self) -> dict[str, Any]:
        """Plain values for machines."""
        rows = zip(self.ids.tolist(), self.similarity.tolist(), strict=True)
        return dict(
            query=self.query,
            found=len(self),
            embedded=self.embedded,
            recall=self.recall,
            seconds=round(self.seconds, 4),
            where=None if self.where is None else self.where.text,
            images=[dict(id=str(key), similarity=round(value, 6)) for key, value in rows],
        )


def find(  # noqa: PLR0913
    run: CuratedRun,
    *,
    like: Any = None,
    text: str | None = None,
    count: int = COUNT,
    where: Filter | str | None = None,
    diverse: bool = False,
    relevance: float = 0.5,
    progress: Progress = silent,
) -> FindResult:
    """The images of a run most similar to a query.

    Parameters
    ----------
    run
        Its vectors are computed where they are not there yet.
    like
        An id, a file, a picture, a (D,) vector, or a list of such: their centre.
    text
        A sentence, for encoders with a text tower.
    count
        At most so many images; those of the query itself are left out.
    where
        Filter, or its text, that the result is limited to.
    diverse
        Trade similarity against likeness among the found: maximal marginal relevance over the
        5 x count most similar.
    relevance
        lambda in [0, 1] of that trade; 1 = similarity alone.
    progress
        Unit "images" while an index is built.

    Returns
    -------
    FindResult
        ids and similarity (cosine in [-1, 1]), most similar first.

    Raises
    ------
    BadInput
        For an empty or unreadable query, an encoder without a text tower, or a filter that leaves
        nothing.
    Missing
        Where a model or its weights are not on this machine.

    References
    ----------
    Carbonell and Goldstein 1998 (maximal marginal relevance).
    """
    count = _checked_count(count)
    if not 0 <= relevance <= 1:
        raise BadInput(f"relevance={relevance} must lie in [0, 1]; 1 = similarity alone.")
    wanted = filter_of(where)
    if wanted is not None and not _asks_for_stages(run, wanted):
        require_some(apply_filter(wanted, run.columns), run.columns)  # before anything is embedded
    query = resolve(run, like, text)
    mask = _allowed(run, query, wanted)
    began = time.perf_counter()
    pool = min(POOL * count, len(run.dataset)) if diverse else count
    positions, similarity, recall = _nearest(run, query, pool, mask, progress)
    if diverse:
        chosen = marginal_relevance(run.vectors[positions], similarity, count, relevance)
        positions = positions[chosen]
        similarity = similarity[chosen]
    return FindResult(
        run.dataset.ids[positions],
        positions,
        similarity,
        query.text,
        query.embedded,
        recall,
        time.perf_counter() - began,
        wanted,
    )


def similarity_to(run: CuratedRun, query: str) -> np.ndarray:
    """(N,) float32: cosine of every image to a query text.

    As `SelectionRequest` and shells write it: ids or files, comma-separated, or "text: ...".
    """
    words = str(query).strip()
    if words.startswith(TEXT):
        resolved = resolve(run, None, words.removeprefix(TEXT))
    else:
        resolved = resolve(run, query_ids(words), None)
    return cosines(resolved.of(run.vectors), resolved.direction)


def marginal_relevance(
    vectors: np.ndarray, similarity: np.ndarray, count: int, relevance: float
) -> np.ndarray:
    """(k,) int64 rows by maximal marginal relevance.

    Each maximises relevance x similarity - (1 - relevance) x its largest cosine to those chosen
    before. Ties go to the more similar one.

    Parameters
    ----------
    vectors
        (M, D) float.
    similarity
        (M,) float, to the query, largest first.
    """
    rows = np.asarray(vectors, np.float32)
    rows = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), np.float32(1e-30))
    nearest = np.zeros(len(rows), np.float32)
    free = np.ones(len(rows), bool)
    chosen: list[int] = []
    for _ in range(min(count, len(rows))):
        worth = relevance * similarity - (1 - relevance) * nearest
        at = int(np.argmax(np.where(free, worth, -np.inf)))
        nearest = rows @ rows[at] if not chosen else np.maximum(nearest, rows @ rows[at])
        free[at] = False
        chosen.append(at)
    return np.array(chosen, np.int64)


def _checked_count(count: Any) -> int:
    try:
        number = int(count)
    except (TypeError, ValueError):
        number = 0
    if number < 1 or number != float(count):
        raise BadInput(f"count={count!r} must be a whole number of at least 1, for example 200.")
    return number


def _asks_for_stages(run: CuratedRun, wanted: Filter) -> bool:
    """Whether a column of the filter is yet to be computed."""
    later = {column.name for column in run.columns.describe() if not column.ready}
    return bool(later & set(wanted.columns))


def _allowed(run: CuratedRun, query: Query, wanted: Filter | None) -> np.ndarray | None:
    """(N,) bool, or None where only a few query images are left out (see `_nearest`)."""
    if wanted is None:
        return None
    filtered = require_some(apply_filter(wanted, run.columns), run.columns)
    mask = filtered.mask.copy()
    mask[query.members] = False
    if not mask.any():
        raise BadInput(
            f"filter {wanted.text!r} leaves only the images of the query itself; relax it."
        )
    return mask


def _nearest(
    run: CuratedRun, query: Query, count: int, mask: np.ndarray | None, progress: Progress
) -> tuple[np.ndarray, np.ndarray, float]:
    """(positions, cosines, recall), the query's own images left out."""
    more = count + len(query.members)
    if query.dims is not None:
        cosine = cosines(query.of(run.vectors), query.direction)
        positions, similarity = best(cosine, more, mask)
        recall = 1.0
    else:
        index = search_index(run, progress)
        positions, similarity = index.search(query.direction, more, mask)
        recall = index.recall
    others = ~np.isin(positions, query.members)
    return positions[others][:count], similarity[others][:count], recall


# -- queries ---------------------------------------------------------------------------------------


def resolve(run: CuratedRun, like: Any, text: str | None) -> Query:
    """The direction of a query. Raises BadInput for none, two, or one that cannot be read."""
    if (like is None) == (text is None):
        raise BadInput(
            "a search needs one query: an image, several, or a text (--like ID|FILE, --text WORDS)."
        )
    if text is not None:
        return _text_query(run, text)
    items = _items(like)
    if not items:
        raise BadInput("the query is empty; give the id of an image, a file, or several.")
    named = [_place_or_picture(run, item) for item in items]
    positions = np.array([one for one in named if isinstance(one, int)], np.int64)
    pictures = [one for one in named if not isinstance(one, int | np.ndarray)]
    rows = [np.asarray(run.vectors[np.unique(positions)], np.float32)] if len(positions) else []
    rows += [one[None] for one in named if isinstance(one, np.ndarray)]
    if pictures:
        rows.append(embed_pictures(run, pictures))
    words = ", ".join(_shown(item) for item in items[:3]) + (", ..." if len(items) > 3 else "")
    return Query(centre(np.concatenate(rows)), words, positions, len(pictures))


def _items(like: Any) -> list[Any]:
    if isinstance(like, np.ndarray) and like.dtype.kind == "f":
        return [like] if like.ndim == 1 else list(like)
    if isinstance(like, str | os.PathLike) or not isinstance(like, Iterable):
        return [like] if str(like).strip() else []
    return [item for item in like if not isinstance(item, str) or item.strip()]


def _shown(item: Any) -> str:
    if isinstance(item, str | os.PathLike):
        return str(item)
    return "a vector" if isinstance(item, np.ndarray) else "a picture"


def _place_or_picture(run: CuratedRun, item: Any) -> Any:
    """A position in the source, a picture, or a (D,) float32 vector."""
    if isinstance(item, np.ndarray):
        return _checked_vector(run, item)
    if not isinstance(item, str | os.PathLike):
        if hasattr(item, "convert"):
            return item
        raise BadInput(f"{item!r:.80} is not an id, a file, an image or a vector.")
    name = os.fspath(item)
    position = int(positions_of(run.dataset.ids, [name])[0])
    if position >= 0:
        return position
    path = user_path(name)
    if not path.is_file():
        raise BadInput(
            f"{name!r} is neither an id of this source nor a file; ids here look like "
            f"{str(run.dataset.ids[0])!r}."
        )
    inside = _place_of_file(run, path)
    return inside if inside is not None else _picture(path)


def _place_of_file(run: CuratedRun, path: Path) -> int | None:
    """The image of the source that this file is, or None."""
    if run.dataset.paths is None:
        return None
    position = int(positions_of(run.dataset.paths, [str(path.absolute())])[0])
    return position if position >= 0 else None


def _picture(path: Path) -> Any:
    from coreset_engine.sources.decoding import Unreadable, decode, read_regular

    try:
        return decode(read_regular(path))
    except Unreadable as error:
        raise BadInput(f"{str(path)!r} {error}; give a JPEG, PNG or another image file.") from None


def _checked_vector(run: CuratedRun, vector: np.ndarray) -> np.ndarray:
    width = run.vectors.shape[1]
    if vector.shape != (width,) or not np.isfinite(vector).all():
        raise BadInput(
            f"a query vector of shape {vector.shape} must be {width} finite numbers, as the "
            "vectors of this run are."
        )
    return vector.astype(np.float32)


def embed_pictures(run: CuratedRun, pictures: Sequence[Any]) -> np.ndarray:
    """(P, D) float32 of pictures from outside, by the encoder of the run and as its images were.

    Raises
    ------
    Missing
        Where the run's vectors were given, so that there is no encoder.
    """
    if run.dataset.vectors is not None:
        raise Missing(
            f"the vectors of {run.dataset.spec!r} were supplied, so there is no encoder to embed "
            "another image; search by the id of an image (--like ID)."
        )
    return _encoder(run.dataset, run.encoder, run.weights, run.device).encode(list(pictures))


@lru_cache(maxsize=1)
def _encoder(
    dataset: Dataset, encoder: str, weights: str | None, device: str
) -> Encoder | Concatenated:
    from coreset_engine.embedding.encoders.builders import make_encoder

    return make_encoder(encoder, weights=weights, device=device).sized_for(dataset)


def _text_query(run: CuratedRun, text: str) -> Query:
    words = " ".join(str(text).split())
    if not words:
        raise BadInput("the text query is empty; say what the images show, for example a red car.")
    if run.dataset.vectors is not None:
        raise Missing(
            f"the vectors of {run.dataset.spec!r} were supplied, so there is no matching text "
            "tower; search by the id of an image (--like ID)."
        )
    from coreset_engine.embedding.encoders.text import no_text_tower, text_part, text_tower

    part = text_part(run.encoder)
    if part is None:
        raise no_text_tower(run.encoder)
    tower = text_tower(run.encoder, run.weights, resolve_device(run.device))
    vector = tower.encode([words])
    dims = _dims_of(run, part, vector.shape[1])
    return Query(centre(vector), words, embedded=1, dims=dims)


def _dims_of(run: CuratedRun, part: int, width: int) -> tuple[int, int] | None:
    """The dimensions of the run's vectors that the text tower shares with its image tower."""
    if "+" not in run.encoder:
        return None
    encoder = _encoder(run.dataset, run.encoder, run.weights, run.device)
    encoder = cast("Concatenated", encoder)
    start = sum(one.dim for one in encoder.parts[:part])
    return start, start + width

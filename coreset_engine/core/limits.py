"""Sizes and times at which the engine changes its way of working, all in one place.

Most trade memory and time only; those that also choose an algorithm or a sample, and so change a
result, are marked "result". They depend on the data, never on the machine. Code asks `limits()`
when it needs one, so that a test can set others for a while with `override`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any


@dataclass(frozen=True)
class Limits:
    """Every limit with its default.

    Bytes are bytes, times seconds, products the multiplications of a distance computation.
    """

    # ids
    ids_per_chunk: int = 1 << 20  # ids that exist as Python strings at a time
    row_name_digits: int = 7  # result; of the number in a name that is made, such as row-0000001
    lazy_names_above: int = 1_000_000  # rows; above, their names are made on demand

    # vectors
    free_bytes: int | None = None  # memory that may still be taken; None asks the system
    kmeans_rows: int = 2**16  # result; that a round of a large k-means reads at a time
    code_rows: int = 4_000_000  # result; whose IVF-PQ codes make one file
    search_rows: int = 4096  # whose neighbours make one file
    in_memory_bytes: int = 2 << 30  # result; of float32 vectors; above, rows are read in pieces
    block_numbers: int = 2**22  # in a block of rows
    table_bytes: int = 256 << 20  # of an (N, C) float32 table that is still kept in memory
    array_bytes: int = 64 << 20  # of a result; above, it is a file mapped into memory
    announced_numbers: int = 2**27  # in a matrix; above, transposing it reports progress

    # sources
    retry_waits_s: tuple[float, ...] = (0.2, 0.5, 1.0, 2.0, 4.0, 8.0)  # times 0.5 to 1.5
    column_values: int = 2**16  # of a column that exist as Python objects at a time
    wide_text_bytes: int = 2**30  # of an array of fixed-width texts, whatever their lengths
    row_group_bytes: int = 2**30  # declared by a Parquet row group; above, it is refused
    cached_index_above: int = 100_000  # images; fewer are joined again in a fifth of a second

    # clustering and selection
    kmeans_sample_bytes: int = 256 << 20  # result; of rows that k-means' starts are compared on
    proposal_images: int = 3000  # result; that the number of clusters is proposed from
    one_level_products: float = 2e10  # result; N k d up to which k-medoids uses one level
    exact_herding_products: float = 1e11  # result; N D k; half a minute on one core
    exact_pairs_products: float = (
        2e11  # result; N N D up to which methods on all pairs use all axes
    )
    greedy_candidates: int = 4096  # result; of a greedy over all pairs, while few images are kept
    all_pairs_images: int = 10_000  # result; above, coverage goes by a sample and the graph
    coverage_sample: int = 8192  # result; images of that sample
    pair_links: int = 20_000_000  # result; that may still gain, kept in memory; 8 bytes each

    # evaluation
    all_pairs_products: float = 2e10  # for the covering radius; a quarter of a second on two cores
    radius_axes: int = 128  # principal directions that bound the covering radius
    beta_search_steps: int = 300  # result; of each training at least

    # large sets
    sampled_above: int = 2_000_000  # images; above, pages show a sample
    sample_images: int = 100_000  # result
    sample_per_cluster: int = 20  # result; at least, where a cluster has so many
    count_rows: int = 1 << 18  # of a row group in the sorted table of counts
    interactive_images: int = 5_000_000  # ranked while the user waits; above, in a job

    # artefacts
    selection_rows: int = 1 << 18  # of a row group in selection.parquet
    selection_bytes: int = 8 << 30  # of a selection's table that is read
    log_bytes: int = 1_000_000  # of the log before another file is begun
    verified_s: float = 600  # for which a file read whole and found good is not hashed again

    # clusters
    late_s: float = 20.0  # a block of coverage samples held so long may be given to another node
    slow_shard_s: float = 60.0  # the same for the last shards of an embedding
    gone_s: float = 120.0  # without a node that could work, before the run gives up
    progress_s: float = 1.0  # between two notes of a remote stage on its progress


_current = Limits()


def limits() -> Limits:
    """The active limits."""
    return _current


@contextmanager
def override(**changes: Any) -> Iterator[Limits]:
    """Set other limits for this process, all its threads included, until the block ends.

    Raises
    ------
    TypeError
        For a name that is not a limit.
    """
    global _current
    before = _current
    _current = replace(before, **changes)
    try:
        yield _current
    finally:
        _current = before

"""Growth of every stage through its two largest measured sizes, and what 10 million to a billion
images would take."""

from __future__ import annotations

import numpy as np

from benchmarks.scaling.cells import CELLS, CLASSES, DIMS, T
from coreset_engine.core.errors import BadInput
from coreset_engine.coverage.partitions import SHARE as MEMORY_SHARE
from coreset_engine.coverage.partitions import TaskSize, groups_for, held
from coreset_engine.distributed.coverage_partitions import smallest
from coreset_engine.embedding.neighbours.ivfpq_codes import sample_of

Found = dict[tuple[str, int], dict]
TARGETS = (10_000_000, 100_000_000, 1_000_000_000)
# Assumptions of the plan; each appears in the printed text.
NODE = dict(
    cores=32, memory_gb=128, price=1.30
)  # a node, its price an hour in dollars (on demand; spot is a third)
SHARE = 0.8  # of the useful cores' time that is work
SLOT_H = 24.0  # nodes are counted so that the spread stages together take about this long
SPREAD = ("embedding", "neighbours_ivf_pq", "coverage", "kmeans")
ONE_NODE = ("dynamics", "selection")
# Bytes an image that stay in memory in stages that put large arrays into files. Between two
# measured sizes, one below
# and one above the size from which they do, memory grows by less (dynamics, TEMI) or by the sample
# (k-means).
COUNTED = dict(kmeans=20, dynamics=34, temi=35)


def growth(found: Found, name: str, what: str) -> tuple[float, float] | None:
    """(a, b) of a N^b through the two largest sizes: fixed costs of small sets would flatten the
    slope."""
    points = _largest_two(found, name, what)
    if len(points) < 2:
        return None
    (n0, y0), (n1, y1) = points
    b = float(np.log(y1 / y0) / np.log(n1 / n0))
    return y1 / n1**b, b


def per_image(found: Found, name: str) -> tuple[float, float] | None:
    """(GB whatever N, GB an image) of the peak, through the two largest sizes; GB a sampled row for
    IVF-PQ."""
    points = _largest_two(found, name, "anon_gb")
    if len(points) < 2:
        return None
    (n0, y0), (n1, y1) = ((_held_for(name, n), gb) for n, gb in points)
    slope = max(0.0, (y1 - y0) / (n1 - n0))
    return y1 - slope * n1, slope


def _held_for(name: str, n: int) -> int:
    """What memory grows with: IVF-PQ holds the rows it learns from, whose number ends at a
    million."""
    return sample_of(n) if name == "neighbours_ivf_pq" else n


def _largest_two(found: Found, name: str, what: str) -> list[tuple[int, float]]:
    return sorted((n, cell[what]) for (other, n), cell in found.items() if other == name)[-2:]


def measured(found: Found, sizes: list[int]) -> str:
    """The table of cells."""
    lines = [
        "| stage | "
        + " | ".join(f"N = {n:,}: core-s, peak GB" for n in sizes)
        + " | time grows as | memory, bytes an image | part measured (largest N) |",
        "|---" * (len(sizes) + 4) + "|",
    ]
    for name in CELLS:
        cells = [found.get((name, n)) for n in sizes]
        words = [f"{cell['cpu_s']:,.1f}, {cell['anon_gb']:.2f}" if cell else "" for cell in cells]
        fit = growth(found, name, "cpu_s")
        memory = per_image(found, name)
        note = next((cell["note"] for cell in cells[::-1] if cell), "")
        lines.append(
            f"| {name} | " + " | ".join(words) + f" | {f'N^{fit[1]:.2f}' if fit else ''} | "
            f"{f'{memory[1] * 1e9:,.0f}' if memory else ''}{' (a sampled row)' * ('ivf' in name)} "
            f"| {note} |"
        )
    return "\n".join(lines)


def core_hours(found: Found, name: str, n: int) -> float:
    """On from the largest size measured, growing as measured but never slower than n."""
    largest = max(size for other, size in found if other == name)
    return (
        found[name, largest]["cpu_s"]
        * (n / largest) ** max(growth(found, name, "cpu_s")[1], 1.0)
        / 3600
    )


def used(found: Found, name: str, n: int) -> tuple[int, float, str]:
    """(cores of a node that have work at once, GB it holds then, what to say of it)."""
    cores = NODE["cores"]
    memory = NODE["memory_gb"] * 1e9
    if name != "coverage":  # one process, whose threads share what it holds
        base, slope = per_image(found, name)
        gb = base + slope * _held_for(name, n)
        if name in COUNTED:
            largest, peak = _largest_two(found, name, "anon_gb")[-1]
            gb = peak + COUNTED[name] * (n - largest) / 1e9
        return cores, gb, "*" if gb > NODE["memory_gb"] else ""
    threads, _ = smallest([(cores, memory)], n, 1)
    size = TaskSize(n, DIMS, 4, m=2, sums=1, threads=threads)
    try:
        groups = groups_for(size, memory)
    except BadInput:
        return 1, held(size, DIMS) / 1e9, "*"
    task = held(size, groups)
    at_once = max(1, min(cores // threads, int(MEMORY_SHARE * memory // task)))
    return at_once * threads, at_once * task / 1e9, f" (S = {groups})"


def plan(found: Found) -> str:
    """Both tables and the assumptions."""
    names = (*SPREAD, *ONE_NODE, "temi")
    stages = [
        "| stage | "
        + " | ".join(f"{n:,}: core-hours, cores of a node with work, GB a node" for n in TARGETS)
        + " |",
        "|---" * (len(TARGETS) + 1) + "|",
    ]
    for name in names:
        cells = []
        for n in TARGETS:
            cores, gb, note = used(found, name, n)
            cells.append(f"{core_hours(found, name, n):,.1f}, {cores}, {gb:,.1f}{note}")
        stages.append(f"| {name} | " + " | ".join(cells) + " |")
    totals = [
        "| images | nodes | hours | of them on one node | dollars | dollars a million |",
        "|---" * 6 + "|",
    ]
    for n in TARGETS:
        spread, alone = (
            sum(core_hours(found, name, n) / (used(found, name, n)[0] * SHARE) for name in which)
            for which in (SPREAD, ONE_NODE)
        )
        nodes = max(1, int(np.ceil(spread / SLOT_H)))
        cost = (spread + alone) * NODE["price"]
        totals.append(
            f"| {n:,} | {nodes:,} | {spread / nodes + alone:,.1f} | {alone:,.1f} | {cost:,.0f} | "
            f"{cost / n * 1e6:.2f} |"
        )
    return "\n".join([*stages, "", *totals, "", ASSUMED])


ASSUMED = f"""Assumed: every stage goes on growing as between its two largest sizes measured, never slower
than N; a core there is as fast as here; nodes of {NODE["cores"]} cores and {NODE["memory_gb"]} GB at
{NODE["price"]:.2f} dollars an hour, paid while they work; cores that have work work {100 * SHARE:.0f} % of the time;
no GPU; vectors of {DIMS} float32 on a file system as fast as memory (reading them is not counted, nor decoding
images); coverage with T = {T:,} whatever N, over S groups of columns; k-means with {CLASSES} clusters; linear
dynamics (15 epochs) and selection on one node. Embedding (EfficientNet-Lite0), neighbours by IVF-PQ (72 bytes an
image of codes are mapped from disk, not held), coverage and k-means are spread; as many nodes as end within
{SLOT_H:.0f} hours. TEMI is not part of the totals: it runs on one node and needs a GPU. Memory of k-means, dynamics
and TEMI: the peak at the largest size measured and {", ".join(map(str, COUNTED.values()))} bytes for each
image more, counted from their arrays.
* = more than such a node has."""

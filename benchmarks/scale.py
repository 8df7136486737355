"""Time and memory of every stage at 10 k, 100 k and 1 M x 256, growth exponents, and what a billion images would cost.

    python benchmarks/scale.py [--folder DIR] [--sizes 10000 100000 1000000] [--seconds 800] [--capped]

Vectors are made (a mixture of 1,000 clusters, each spread over 24 directions) in --folder, which also keeps every
measured cell: the script stops after --seconds and goes on when it is called again. Each cell is a process of its own.
Time is core-seconds (user + system), which other work on the machine changes less than a clock; memory is the peak that
the process holds itself (RssAnon), without files mapped from disk. Stages measured on a part are scaled up: the last
column says so. --capped runs every stage of a 1.28 M x 256 set with RLIMIT_DATA at 4 GB, resumable too.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np

sys.path[0] = str(Path(__file__).resolve().parent.parent)
from coreset_engine.device import cpu_count  # noqa: E402

DIMS, CLASSES, T, CAP = 256, 100, 1_000_000, 4 << 30
SIZES = (10_000, 100_000, 1_000_000)
TARGETS = (10_000_000, 100_000_000, 1_000_000_000)
# Assumptions of the extrapolation; each appears in the printed text.
NODE = dict(cores=32, memory_gb=128, price=1.30)  # a node, its price an hour in dollars (on demand; spot is a third)
SHARE = 0.8  # of a node's cores that do useful work when tasks are spread
SLOT_H = 24.0  # nodes are counted so that the spread stages together take about this long


def make_vectors(folder: Path, n: int) -> Path:
    """(n, 256) float32 on disk, the same for the same n; made 100,000 rows at a time."""
    path = folder / f"v{n}.npy"
    if path.is_file():
        return path
    rng = np.random.default_rng(1)
    centres, ways = rng.normal(size=(1000, DIMS)), rng.normal(size=(24, DIMS)) / 2
    scales = rng.gamma(2.0, 0.5, size=(1000, 24))
    out = np.lib.format.open_memmap(path.with_suffix(".part"), "w+", np.float32, (n, DIMS))
    for at in range(0, n, 100_000):
        own = rng.integers(1000, size=min(100_000, n - at))
        spread = (rng.normal(size=(len(own), 24)) * scales[own]).astype(np.float32) @ ways.astype(np.float32)
        out[at:at + len(own)] = centres[own] + spread + 0.05 * rng.normal(size=(len(own), DIMS)).astype(np.float32)
    out.flush()
    path.with_suffix(".part").rename(path)
    return path


# -- cells: each calls begin() once it is warm, and returns (what share of the stage was done, a note) -----------------

_began = [0.0]


def begin() -> None:
    """Imports, compiling and loading weights are done once a machine, so they are not scaled up."""
    _began[0] = sum(os.times()[:2])


def coverage(v: np.ndarray, work: Path) -> tuple[float, str]:
    from coreset_engine.coverage.scores import coverage_scores

    def spent(part: int) -> float:
        before = sum(os.times()[:2])
        coverage_scores(v, n_samples=part, device="cpu")
        return sum(os.times()[:2]) - before

    coverage_scores(v[:2000], n_samples=1000, device="cpu")
    few, many = 1000, 20_000 if len(v) < 1_000_000 else 30_000
    begin()
    once, all_ = spent(few), spent(many)
    each = max(all_ - once, 1e-9) / (many - few)
    return (once + all_) / (once + each * (T - few)), f"{many:,} of T = 1,000,000 samples, turning the matrix once"


def exact(v: np.ndarray, work: Path) -> tuple[float, str]:
    from coreset_engine.embedding.candidates import by_flat_index
    from coreset_engine.embedding.neighbourhood import _finish, _rows

    begin()
    rows, part = _rows(v, "cosine", whole=True), min(len(v), 4096)
    found, _ = by_flat_index(rows, 51)(0, part)
    for at in range(0, part, 512):
        _finish(rows, at, found[at:at + 512], 50)
    return part / len(v), f"{part:,} queries against all"


def products(v: np.ndarray, work: Path) -> tuple[float, str]:
    from coreset_engine.embedding import at_scale

    begin()
    asked = min(-(-len(v) // at_scale.BLOCK), 6 if len(v) < 1_000_000 else 2)
    at_scale.train(v, work, wanted=50, piece=at_scale.PIECE, block=at_scale.BLOCK)
    for number in range(-(-len(v) // at_scale.PIECE)):
        at_scale.encode(v, work, number)
    told = at_scale.tune(v, work)["info"]
    before = sum(os.times()[:2]) - _began[0]
    for number in range(asked):
        at_scale.search(v, work, number)
    spent, rows = sum(os.times()[:2]) - _began[0] - before, min(len(v), asked * at_scale.BLOCK)
    fixed = before + spent
    return fixed / (before + spent * len(v) / rows), f"trained and coded whole, {rows:,} queries; recall@50 " \
                                                     f"{told['recall']:.3f}, {told['method'].split(', ')[2]}"


def kmeans(v: np.ndarray, work: Path) -> tuple[float, str]:
    from coreset_engine.difficulty.kmeans import KMeansConfig, spherical_kmeans

    begin()
    spherical_kmeans(v, CLASSES, KMeansConfig(n_starts=1, n_rounds=5), device="cpu")
    return 5 / 120, "5 rounds of 120 (4 starts of 30)"


def temi(v: np.ndarray, work: Path) -> tuple[float, str]:
    from coreset_engine.difficulty.temi import TemiConfig
    from coreset_engine.difficulty.temi import temi as cluster
    from coreset_engine.types import Neighbours

    begin()
    near = np.random.default_rng(0).integers(len(v), size=(len(v), 10))
    cluster(v, CLASSES, TemiConfig(epochs=1, min_steps=1, n_neighbours=10),
            neighbours=Neighbours(near, np.zeros(near.shape, np.float32)), device="cpu")
    return 1 / 20, "1 epoch of 20, 16 heads"


def dynamics(v: np.ndarray, work: Path) -> tuple[float, str]:
    from coreset_engine.difficulty.dynamics import training_dynamics

    begin()
    training_dynamics(v, np.arange(len(v)) % CLASSES, "linear", epochs=2, device="cpu")
    return 2 / 15, "2 epochs of 15, linear"


def selection(v: np.ndarray, work: Path) -> tuple[float, str]:
    from coreset_engine.knobs import make
    from coreset_engine.registry import METHODS, load

    begin()
    scores = np.random.default_rng(0).normal(size=len(v)).astype(np.float32)
    made = SimpleNamespace(aum=scores, forgetting=scores)
    inputs = SimpleNamespace(dataset=range(len(v)), seed=0, dynamics=made, dynamics_at=lambda **params: made)
    load(METHODS["elfs"].function)(inputs, len(v) // 10, make(load(METHODS["elfs"].config), {}), 0)
    return 1.0, "ELFS at 90 %"


def embedding(v: np.ndarray, work: Path) -> tuple[float, str]:
    from PIL import Image

    from coreset_engine.embedding.embedder import embed_images
    from coreset_engine.embedding.encoders import make_encoder
    from coreset_engine.types import Dataset

    rng = np.random.default_rng(0)
    pictures = [Image.fromarray(rng.integers(0, 255, (224, 224, 3), dtype=np.uint8)) for _ in range(128)]
    made = Dataset("made", np.array([f"{i}" for i in range(128)]), "made", reader=pictures.__getitem__)
    encoder = make_encoder("efficientnet_lite0", device="cpu")
    embed_images(Dataset("few", made.ids[:32], "few", reader=pictures.__getitem__), encoder)
    begin()
    embed_images(made, encoder)
    return 128 / len(v), "128 images at 224 pixels, decoding not counted"


CELLS = dict(embedding=embedding, neighbours_exact=exact, coverage=coverage, kmeans=kmeans, dynamics=dynamics,
             selection=selection, temi=temi, neighbours_ivf_pq=products)
# What an idle Ray cluster can share, and what stays on one node (with as many cores as it has).
SPREAD = ("embedding", "neighbours_ivf_pq", "coverage")
ONE_NODE = ("kmeans", "dynamics", "selection")


def in_child(path: str, name: str) -> None:
    """Do one cell, print {"cpu_s", "wall_s", "anon_gb", "share", "note"}."""
    peak, stop = [0], threading.Event()

    def watch() -> None:
        while not stop.wait(0.05):
            peak[0] = max(peak[0], anonymous())

    threading.Thread(target=watch, daemon=True).start()
    began = time.time()
    with tempfile.TemporaryDirectory(dir=Path(path).parent) as work:
        share, note = CELLS[name](np.load(path, mmap_mode="r"), Path(work))
    spent = sum(os.times()[:2]) - _began[0]
    stop.set()
    print(json.dumps(dict(cpu_s=spent / share, wall_s=time.time() - began, anon_gb=max(peak[0], anonymous()) / 1e9,
                          share=share, note=note)))


def anonymous() -> int:
    """Bytes this process holds that are no files."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("RssAnon"):
            return int(line.split()[1]) << 10
    return 0


def measure(folder: Path, sizes: list[int], until: float) -> dict[tuple[str, int], dict]:
    """Every cell that lies finished, after measuring what time allows."""
    found = {}
    for n in sizes:
        for name in CELLS:
            kept = folder / f"cell-{name}-{n}.json"
            if not kept.is_file() and time.monotonic() < until:
                done = subprocess.run([sys.executable, __file__, "--cell", str(make_vectors(folder, n)), name],
                                      capture_output=True, text=True)
                if done.returncode:
                    print(f"{name} at {n:,} failed: {done.stderr.strip().splitlines()[-1:]}", file=sys.stderr)
                    continue
                kept.write_text(done.stdout.strip().splitlines()[-1])
            if kept.is_file():
                found[name, n] = json.loads(kept.read_text())
    return found


def growth(found: dict[tuple[str, int], dict], name: str, what: str) -> tuple[float, float] | None:
    """(a, b) of a N^b through the two largest sizes: fixed costs of small sets would flatten the slope."""
    points = sorted((n, cell[what]) for (other, n), cell in found.items() if other == name)[-2:]
    if len(points) < 2:
        return None
    (n0, y0), (n1, y1) = points
    b = float(np.log(y1 / y0) / np.log(n1 / n0))
    return y1 / n1**b, b


def per_image(found: dict[tuple[str, int], dict], name: str) -> tuple[float, float] | None:
    """(GB whatever N, GB an image) of the peak, through the two largest sizes."""
    points = sorted((n, cell["anon_gb"]) for (other, n), cell in found.items() if other == name)[-2:]
    if len(points) < 2:
        return None
    (n0, y0), (n1, y1) = points
    slope = max(0.0, (y1 - y0) / (n1 - n0))
    return y1 - slope * n1, slope


def tables(found: dict[tuple[str, int], dict], sizes: list[int]) -> str:
    lines = ["| stage | " + " | ".join(f"N = {n:,}: core-s, peak GB" for n in sizes)
             + " | time grows as | memory, bytes an image | part measured (largest N) |",
             "|---" * (len(sizes) + 4) + "|"]
    for name in CELLS:
        cells = [found.get((name, n)) for n in sizes]
        words = [f"{cell['cpu_s']:,.1f}, {cell['anon_gb']:.2f}" if cell else "" for cell in cells]
        fit, memory = growth(found, name, "cpu_s"), per_image(found, name)
        note = next((cell["note"] for cell in cells[::-1] if cell), "")
        lines.append(f"| {name} | " + " | ".join(words) + f" | {f'N^{fit[1]:.2f}' if fit else ''} | "
                     f"{f'{memory[1] * 1e9:,.0f}' if memory else ''} | {note} |")
    return "\n".join(lines)


def extrapolation(found: dict[tuple[str, int], dict]) -> str:
    """The table to a billion. Costs are nodes x hours x price; assumptions below it."""
    lines = ["| images | spread stages, core-hours | nodes | hours | one-node stages, hours | dollars | per million | "
             f"GB a node must hold; * = more than {NODE['memory_gb']} |", "|---" * 8 + "|"]
    for n in TARGETS:
        spread = sum(_seconds(found, name, n) for name in SPREAD) / 3600
        alone = sum(_seconds(found, name, n) for name in ONE_NODE) / 3600 / (NODE["cores"] * SHARE)
        nodes = max(1, int(np.ceil(spread / (NODE["cores"] * SHARE * SLOT_H))))
        hours = spread / (NODE["cores"] * SHARE * nodes)
        cost = (nodes * hours + alone) * NODE["price"]
        held = {name: per_image(found, name) for name in ("coverage", *ONE_NODE)}
        needs = {name: base + slope * n for name, (base, slope) in held.items()}
        words = ", ".join(f"{name} {gb:,.0f}{'*' if gb > NODE['memory_gb'] else ''}" for name, gb in needs.items())
        lines.append(f"| {n:,} | {spread:,.0f} | {nodes:,} | {hours:.1f} | {alone:.1f} | {cost:,.0f} | "
                     f"{cost / n * 1e6:.2f} | {words} |")
    return "\n".join([*lines, "", ASSUMED])


def _seconds(found: dict[tuple[str, int], dict], name: str, n: int) -> float:
    """Core-seconds at n: on from the largest size measured, growing as measured but never slower than n."""
    largest = max(size for other, size in found if other == name)
    return found[name, largest]["cpu_s"] * (n / largest) ** max(growth(found, name, "cpu_s")[1], 1.0)


ASSUMED = f"""Assumed: every stage goes on growing as between its two largest sizes measured, never slower
than N; a core there is as fast as here; nodes of {NODE['cores']} cores and {NODE['memory_gb']} GB at
{NODE['price']:.2f} dollars an hour; {100 * SHARE:.0f} % of their time is work; no GPU; vectors of {DIMS} float32
on a file system as fast as memory (reading them is not counted, nor decoding images); coverage with T = {T:,}
whatever N; k-means (4 starts of 30 rounds, {CLASSES} clusters; TEMI, which wants a GPU, is left out), linear
dynamics (15 epochs) and selection on one node; embedding (EfficientNet-Lite0), neighbours by IVF-PQ and coverage
spread over all; as many nodes as end within {SLOT_H:.0f} hours. Hours and dollars of a stage marked * say what the
work would be worth: on such a node it cannot be run as it is."""


# -- under a cap -------------------------------------------------------------------------------------------------------

def capped(folder: Path) -> None:
    """Every stage of 1.28 M x 256 by the pipeline with RLIMIT_DATA; prints seconds and peak of each."""
    from coreset_engine.run.pipeline import Run
    from coreset_engine.run.selecting import select
    from coreset_engine.run.store import Store
    from coreset_engine.sources.opening import open_source

    resource.setrlimit(resource.RLIMIT_DATA, (CAP, CAP))
    run = Run(open_source(make_vectors(folder, 1_280_000)), n_clusters=CLASSES, clusterer="kmeans", proxy="linear",
              n_samples=20_000, store=Store(folder / "home"), search="approximate", device="cpu")
    for stage in ("embeddings", "coverage", "pseudo_labels", "dynamics", "selection", "neighbours"):
        if (folder / f"capped-{stage}").is_file():
            print((folder / f"capped-{stage}").read_text())
            continue
        before, began, peak, stop = sum(os.times()[:2]), time.time(), [0], threading.Event()

        def watch(peak=peak, stop=stop) -> None:
            while not stop.wait(0.05):
                peak[0] = max(peak[0], anonymous())

        threading.Thread(target=watch, daemon=True).start()
        kept = select("elfs", run, 0.9) if stage == "selection" else getattr(run, stage)
        stop.set()
        note = f", recall@50 {kept.info['recall']:.3f}" if stage == "neighbours" else ""
        told = f"| {stage} | {time.time() - began:,.0f} | {sum(os.times()[:2]) - before:,.0f} | " \
               f"{peak[0] / 1e9:.2f}{note} |"
        (folder / f"capped-{stage}").write_text(told)
        print(told, flush=True)


def main() -> None:
    asked = argparse.ArgumentParser()
    asked.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "coreset-scale")
    asked.add_argument("--sizes", type=int, nargs="*", default=list(SIZES))
    asked.add_argument("--seconds", type=float, default=800)
    asked.add_argument("--capped", action="store_true")
    asked.add_argument("--cell", nargs=2)
    options = asked.parse_args()
    if options.cell:
        in_child(*options.cell)
        return
    options.folder.mkdir(parents=True, exist_ok=True)
    if options.capped:
        capped(options.folder)
        return
    found = measure(options.folder, options.sizes, time.monotonic() + options.seconds)
    print(f"{platform.machine()}, {cpu_count()} cores, no GPU; {len(found)} of {len(CELLS) * len(options.sizes)} cells "
          f"measured.\n\n{tables(found, options.sizes)}\n")
    if all(growth(found, name, "cpu_s") for name in CELLS):
        print(extrapolation(found))


if __name__ == "__main__":
    main()

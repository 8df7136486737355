"""Kill the whole pipeline at many points, resume it, and compare: same bytes, no finished work done
again.

    python tests/robustness/kill.py --points 200 [--seed 0]

A warm process holds the imports and forks a child per run (120 real digits as image files, shards
of 16, a tiny fixed encoder; every stage, two selections, a history entry). Half of the children
kill themselves at the n-th file operation or progress call, n spread evenly over a whole run; half
are killed from outside with their process group, at a random moment. The next child resumes. A
point passes when the selections are byte for byte those of an uninterrupted run, finished artefacts
still are the same files, finished shards were not embedded again, and nothing is left over.
"""

from __future__ import annotations

import argparse
import faulthandler
import hashlib
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ[_name] = "1"  # a process with running threads cannot be forked
os.environ["NUMBA_THREADING_LAYER"] = "workqueue"  # the one that survives a fork
if hasattr(os, "sched_setaffinity"):
    os.sched_setaffinity(
        0, {min(os.sched_getaffinity(0))}
    )  # faiss takes as many threads as cores it sees
ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

IMAGES = 120
SHARD = 16
EVENTS = {
    "open",
    "os.rename",
    "os.mkdir",
    "os.remove",
    "os.rmdir",
    "os.utime",
    "os.truncate",
    "shutil.rmtree",
}


@dataclass
class Bench:
    """Where the runs of one session lie, and what an uninterrupted one gave."""

    root: Path
    expected: dict[str, str] = field(default_factory=dict)
    events: int = 0
    seconds: float = 0.0

    @property
    def images(self) -> Path:
        return self.root / "images"

    @property
    def home(self) -> Path:
        return self.root / "home"

    @property
    def out(self) -> Path:
        return self.root / "out"


def warm(root: Path) -> Bench:
    """Images, imports, and the reference run, in a child like all others."""
    import warnings

    import torch
    from PIL import Image
    from sklearn.datasets import load_digits

    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    bench = Bench(root)
    digits = load_digits()
    for i in range(IMAGES):
        folder = bench.images / str(digits.target[i])
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray((digits.images[i] * 15.9).astype("uint8")).save(folder / f"{i:03d}.png")
    pipeline(bench, lambda: None)  # imports and compiled kernels, inherited by every child
    for _ in range(2):  # the second is at full speed
        clear(bench)
        answer = child(bench, lambda count: pipeline(bench, count))
        bench.seconds = answer["seconds"]
        bench.events = answer["events"]
    assert answer["embedded"] == IMAGES, answer
    bench.expected = outcome(bench)
    return bench


def pipeline(bench: Bench, count: Callable[[], None]) -> int:
    """Every stage, two selections, an export and a decision; how many images were embedded."""
    from coreset_engine.artifacts import history
    from coreset_engine.artifacts.store import Store
    from coreset_engine.embedding import embedder
    from coreset_engine.embedding.encoders import builders
    from coreset_engine.pipeline.manifest import write_run
    from coreset_engine.pipeline.run import STAGES, Run
    from coreset_engine.pipeline.select import select
    from coreset_engine.sources.open import open_source

    embedded = []
    plain = embedder.embed_images
    builders.make_encoder = lambda *a, **k: tiny(embedded)
    embedder.embed_images = lambda *a, **k: plain(*a, **k, shard_size=SHARD, batch_size=8)
    try:
        run = Run(
            open_source(str(bench.images)),
            store=Store(bench.home),
            n_samples=20_000,
            device="cpu",
            progress=lambda *_: count(),
        )
        for stage in STAGES:
            getattr(run, stage)
        for method in ("elfs", "blindcs"):
            write_run(bench.out / method, run, select(method, run, prune_rate=0.8))
        if not history.snapshots(run.dataset.fingerprint, bench.home):
            history.add_snapshot(run.dataset.fingerprint, {"name": "kept"}, bench.home)
    finally:
        embedder.embed_images = plain
    return sum(embedded)


def tiny(embedded: list[int]):
    """A fixed linear encoder, 16 px to 24 numbers, that notes how many images it was given."""
    import torch

    from coreset_engine.embedding.encoders.base import Encoder

    table = torch.randn(3 * 256, 24, generator=torch.Generator().manual_seed(0)) / 16

    class Counting(Encoder):
        """Counts images where they are prepared: later they stand in slices of constant length."""

        def prepare(self, images):
            embedded.append(len(images))
            return super().prepare(images)

    def network(batch):
        return batch.flatten(1) @ table

    return Counting("tiny", network, 24, 16, (0.5,) * 3, (0.5,) * 3, "fixed", image_size=16)


def child(
    bench: Bench,
    work: Callable[[Callable[[], None]], int],
    *,
    die_at: int | None = None,
    killed_after: float | None = None,
) -> dict | None:
    """Run `work` in a forked child; what it told, or None when it was killed. Raises when it failed
    by itself."""
    answer = bench.root / "told.json"
    answer.unlink(missing_ok=True)
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            os.setsid()
            faulthandler.dump_traceback_later(60, exit=True)  # a child that hangs says where
            seen = [0]

            def count(*_):
                seen[0] += 1
                if seen[0] == die_at:
                    os.kill(os.getpid(), signal.SIGKILL)

            mine = (str(bench.home), str(bench.out))

            def hook(event, args):
                if event in EVENTS and any(str(arg).startswith(mine) for arg in args[:2]):
                    count()

            sys.addaudithook(hook)
            began = time.monotonic()
            embedded = work(count)
            answer.write_text(
                json.dumps(
                    dict(embedded=embedded, events=seen[0], seconds=time.monotonic() - began)
                )
            )
            code = 0
        except BaseException:  # noqa: BLE001 - the child's last door
            import traceback

            traceback.print_exc()
        finally:
            os._exit(code)
    if killed_after is not None:
        time.sleep(killed_after)
        try:
            os.killpg(pid, signal.SIGKILL)
        except ProcessLookupError:  # before its setsid
            os.kill(pid, signal.SIGKILL)
    status = os.waitpid(pid, 0)[1]
    if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL:
        return None
    if status != 0:
        raise AssertionError(f"the child ended with {status}")
    return json.loads(answer.read_text())


def outcome(bench: Bench) -> dict[str, str]:
    """SHA-256 of every file of the selections, and the decisions."""
    from coreset_engine.artifacts import history

    found = {
        str(path.relative_to(bench.out)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(bench.out.rglob("*"))
        if path.is_file()
    }
    log = next((bench.home / "history").glob("*.jsonl"), None)
    entries = log.read_text().count("kept") if log else 0
    assert history.log_names(bench.home) or not entries
    return found | {"decisions": str(entries)}


def finished(bench: Bench) -> tuple[dict[str, int], int]:
    """(manifest -> inode of every finished artefact, number of finished shards)."""
    manifests = {
        str(path): path.stat().st_ino
        for path in bench.home.glob("artefacts/*/*/manifest.json")
        if not path.parent.name.startswith(".")
    }
    shards = len(list(bench.home.glob("work/embeddings/*/shard-*.sha256")))
    return manifests, IMAGES // SHARD + 1 if any(
        "/embeddings/" in path for path in manifests
    ) else shards


def clear(bench: Bench) -> None:
    for folder in (bench.home, bench.out):
        shutil.rmtree(folder, ignore_errors=True)


def point(bench: Bench, **how) -> str:
    """Kill once, resume, compare. "killed" or "too late"; raises AssertionError with what
    differs."""
    clear(bench)
    first = child(bench, lambda count: pipeline(bench, count), **how)
    if first is not None:  # the next blows fall within so short a run
        bench.seconds = min(bench.seconds, first["seconds"])
        bench.events = min(bench.events, first["events"])
    before, shards = finished(bench)
    again = child(bench, lambda count: pipeline(bench, count))
    assert again is not None
    wanted = max(0, IMAGES - shards * SHARD)
    assert again["embedded"] <= wanted, f"{again['embedded']} embedded again, {wanted} were lacking"
    after, _ = finished(bench)
    assert {path: after[path] for path in before} == before, (
        "a finished artefact was computed again"
    )
    assert outcome(bench) == bench.expected, (
        f"the result differs: {outcome(bench)} != {bench.expected}"
    )
    left = [str(path) for folder in (bench.home, bench.out) for path in folder.rglob("*.tmp")]
    assert not left, f"left over: {left}"
    return "killed" if first is None else "too late"


def points(count: int, seed: int) -> list[tuple[str, float]]:
    """(how, share of a run): half by event, evenly spread; half by time."""
    rng = random.Random(seed)
    evenly = count - count // 2
    return [("event", (i + rng.random()) / evenly) for i in range(evenly)] + [
        ("time", rng.random()) for _ in range(count // 2)
    ]


def blow(bench: Bench, how: str, share: float) -> dict:
    """The share of a run as one knows now how long a run takes."""
    return (
        dict(die_at=1 + int(share * bench.events))
        if how == "event"
        else dict(killed_after=share * bench.seconds)
    )


def main() -> int:
    parse = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parse.add_argument("--points", type=int, default=200)
    parse.add_argument("--seed", type=int, default=0)
    given = parse.parse_args()
    root = Path(tempfile.mkdtemp(prefix="coreset-kill-"))
    failures = 0
    tally = {"killed": 0, "too late": 0}
    try:
        bench = warm(root)
        print(f"one run: {bench.events} events, {bench.seconds:.2f} s", flush=True)
        extra = 0
        todo = points(given.points, given.seed)
        while todo:
            how = blow(bench, *todo.pop(0))
            try:
                message = point(bench, **how)
            except AssertionError as error:
                failures += 1
                print(f"FAILED {how}: {error}", flush=True)
                continue
            tally[message] += 1
            if sum(tally.values()) % 20 == 0:
                print(f"{tally['killed']} kills so far, {failures} failures", flush=True)
            if (
                message == "too late" and extra < 4 * given.points
            ):  # it had ended before the blow: strike again
                extra += 1
                todo.append(points(2, given.seed + extra)[1])
        print(
            f"{tally['killed']} kills ({tally['too late']} came too late and were repeated), "
            f"{failures} failures"
        )
    finally:
        shutil.rmtree(root, ignore_errors=True)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())

"""Embedding on a Ray cluster: nodes scan the source, then read and embed their own slices.

What travels are numbers of shards. A node reads the lines of its slice from the shards' folder, the
slice's bytes from the source (an object store is asked by every node itself), and writes vectors
where they were computed, under the name one machine would write; `slices.parquet` beside them holds
the ids. The machine that started the run merges at the end.

Memory a node: one encoder an actor, READERS + 2 batches of 64 resized images an actor and the
encoded ones being read; Ray Data keeps at most two shards' numbers waiting at an actor, so nothing
piles up.

Failures. A node that fails or disappears costs its unfinished shards: Ray gives them to
another. A slow node gets fewer shards, since each actor asks for the next when it is done; when
nothing but a slow node's last shards is left and they take three times as long as the slowest
before (a minute at least), this machine embeds them as well, and the first result is used: the bits
are the same. With no node left that could work, one sentence. Damaged shards are made again.
"""

from __future__ import annotations

import logging
import os
import platform
import queue
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from coreset_engine.core.errors import BadInput
from coreset_engine.core.limits import limits
from coreset_engine.core.types import Dataset, Progress, silent
from coreset_engine.distributed.ray_cluster import connect, must_see, sentences
from coreset_engine.pipeline.executor import EmbeddingTask

if TYPE_CHECKING:
    from coreset_engine.embedding.encoders.builders import Concatenated, Encoder

READERS = 2  # threads that read for one CPU actor; a GPU actor gets its share of the node's cores
_END = object()


def open_on(address: str, source: str, progress: Progress = silent) -> Dataset:
    """`open_source`, with tars, Parquet files and URLs scanned by the cluster's nodes first."""
    from coreset_engine.sources.open import home, open_source
    from coreset_engine.sources.remote import containers

    text = str(source).strip()
    if text.lower().startswith("memory://"):
        raise BadInput(
            f"{text!r} is in the memory of one process, which other nodes cannot access; use an "
            "object store "
            "or a shared file system."
        )
    if containers.is_container(text):
        look_through_on(
            address,
            containers.unseen(text, memory=home() / "verified"),
            home() / "verified",
            progress,
        )
    return open_source(source, progress=progress)


def look_through_on(
    address: str, units: list[Any], memory: Path, progress: Progress = silent
) -> None:
    """Scan `units` on the cluster, one task each.

    Parameters
    ----------
    address : str
        Of the Ray cluster, or "local".
    units : list of Unit
        Archives and lists of files, as `units_of` gives them.
    memory : path
        Where their indexes are cached; every node must see it.
    progress : Progress
        Unit "files scanned".
    """
    from coreset_engine.sources.remote.scan import look_through_unit, remember

    if not units:
        return
    ray = connect(address)
    task = ray.remote(num_cpus=1, max_retries=10)(look_through_unit)
    waiting = list(reversed(units))
    running: dict[Any, Any] = {}
    watch = Watch(ray, "CPU")
    with sentences():
        while waiting or running:
            ahead = 2 * max(1, int(ray.cluster_resources().get("CPU", 1)))
            while waiting and len(running) < ahead:
                unit = waiting.pop()
                running[task.remote(unit, memory)] = unit
            for reference in ray.wait(list(running), num_returns=1, timeout=1.0)[0]:
                remember(running.pop(reference), memory, ray.get(reference))
            watch.look()
            progress(len(units) - len(waiting) - len(running), len(units), "files scanned")


class Watch:
    """Raises BadInput once no living node has had a core (or GPU) for `gone_s` seconds."""

    def __init__(self, ray: Any, kind: str) -> None:
        self.ray = ray
        self.kind = kind
        self.seen = time.monotonic()
        self.looked = 0.0

    def look(self) -> None:
        now = time.monotonic()
        if now - self.looked < 1:
            return
        self.looked = now
        if any(
            node["Alive"] and node["Resources"].get(self.kind, 0) >= 1 for node in self.ray.nodes()
        ):
            self.seen = now
        elif now - self.seen > limits().gone_s:
            raise BadInput(
                f"the cluster has had no node with a {self.kind} for {limits().gone_s:.0f} s; "
                "start nodes and run again: finished shards are kept."
            )


class ShardEmbedder:
    """One worker of the embedding stage: loads the encoder once, then embeds shard after shard."""

    def __init__(self, about: dict[str, Any]) -> None:
        self.about = about
        self.shards = Path(about["shards"])
        self.encoder: Encoder | Concatenated | None = None
        self.dataset: Dataset | None = None

    def __call__(self, batch: dict[str, np.ndarray]) -> dict[str, Any]:
        import ray

        node = ray.get_runtime_context().get_node_id()
        rows = []
        for number in batch["shard"]:
            began = time.time()
            count = 0
            reason = ""
            try:
                self._prepare()
                count = self._embed(int(number))
            except BadInput as error:  # as a row: Ray Data loses the cause of what is raised here
                reason = str(error)
            rows.append((count, began, time.time(), node, reason))
        names = ("images", "began", "ended", "node", "fault")
        return dict(
            zip(names, (np.array(column) for column in zip(*rows, strict=True)), strict=True)
        )

    def _prepare(self) -> None:
        """Open what is needed, once.

        Not in __init__: what is raised there is not reported as a sentence.
        """
        if self.encoder is not None:
            return
        from coreset_engine.embedding.encoders.builders import make_encoder
        from coreset_engine.sources.open import open_source

        must_see({str(self.shards): self.shards / "plan.json"})
        if not self.about["sliced"]:
            self.dataset = open_source(self.about["spec"])
            if self.dataset.fingerprint != self.about["fingerprint"]:
                raise BadInput(
                    f"{self.about['spec']!r} holds other images on the node {platform.node()}; "
                    "every node must see the same source, as on a shared file system."
                )
        encoder = make_encoder(
            self.about["encoder"], weights=self.about["weights"], device=self.about["device"]
        )
        self.encoder = settled(encoder, self.about["sizes"]).with_fit(self.about["fit"])

    def _embed(self, number: int) -> int:
        from coreset_engine.embedding.embedder import Batches, embed_shard, shard_path
        from coreset_engine.sources.remote.readers import load_part

        dataset = self.dataset
        if dataset is None:
            part = load_part(self.shards / "slices.parquet", number)
            dataset = Dataset(
                self.about["spec"],
                part.ids,
                self.about["fingerprint"],
                reader=part,
                fit=self.about["fit"],
            )
        assert self.encoder is not None  # `_prepare` comes first
        size = self.about["shard_size"]
        start = 0 if self.dataset is None else number * size
        return embed_shard(
            dataset,
            self.encoder,
            (start, min(start + size, len(dataset))),
            shard_path(self.shards, number),
            Batches(readers=self.about["readers"]),
        )


def sizes_of(encoder: Encoder | Concatenated) -> list[int | None]:
    """The image size of every network in a (settled) encoder."""
    return [part.image_size for part in getattr(encoder, "parts", (encoder,))]


def settled(encoder: Encoder | Concatenated, sizes: list[int | None]) -> Encoder | Concatenated:
    """`encoder` with these image sizes, which were found on the whole source."""
    from dataclasses import replace

    from coreset_engine.embedding.encoders.builders import Encoder

    if isinstance(encoder, Encoder):
        return replace(encoder, image_size=sizes[0])
    return replace(
        encoder,
        parts=tuple(
            replace(part, image_size=size) for part, size in zip(encoder.parts, sizes, strict=True)
        ),
    )


def embed_on(address: str, task: EmbeddingTask, progress: Progress = silent) -> dict[str, float]:
    """Write every missing shard of the task on the cluster; images per second by Ray node id.

    GPU nodes work when the cluster has any (one actor a GPU), else, and with device="cpu", every
    core. The unit of `progress` names each node's images per second. Shards that a slow node still
    holds at the end may be missing: `embed_images` makes them.
    """
    from coreset_engine.embedding.embedder import missing_shards
    from coreset_engine.embedding.encoders.builders import make_encoder

    dataset = task.dataset
    made = make_encoder(task.encoder, weights=task.weights, device=task.device)
    if task.sizes:
        made = settled(made, list(task.sizes)).with_fit(dataset.fit)
    else:
        made = made.sized_for(dataset)
    missing = missing_shards(dataset, made, task.shards, shard_size=task.shard_size)
    if not missing:
        return {}
    ray = connect(address)
    sliced = hasattr(dataset.reader, "save")
    if sliced:
        cast(Any, dataset.reader).save(task.shards / "slices.tmp", task.shard_size)
        os.replace(task.shards / "slices.tmp", task.shards / "slices.parquet")
    resources = ray.cluster_resources()
    gpus = 0 if task.device == "cpu" else int(resources.get("GPU", 0))
    cpus = int(resources.get("CPU", 1))
    about = dict(
        device="cpu" if task.device == "cpu" else "auto",
        spec=dataset.spec,
        fingerprint=dataset.fingerprint,
        encoder=task.encoder,
        weights=task.weights,
        shards=str(task.shards),
        shard_size=task.shard_size,
        sliced=sliced,
        sizes=sizes_of(made),
        fit=dataset.fit,
        readers=min(16, max(READERS, cpus // gpus)) if gpus else READERS,
    )
    rows = _rows(ray, missing, about, gpus, max(1, min(len(missing), gpus or cpus)))
    with sentences():
        return _gathered(
            rows,
            len(dataset),
            len(missing),
            gpus or cpus,
            Watch(ray, "GPU" if gpus else "CPU"),
            progress,
        )


def _rows(
    ray: Any, missing: list[int], about: dict[str, Any], gpus: int, workers: int
) -> Iterator[dict[str, Any]]:
    import ray.data

    logging.getLogger("ray.data").setLevel(logging.ERROR)
    ray.data.DataContext.get_current().enable_progress_bars = False
    pool = ray.data.ActorPoolStrategy(min_size=1, max_size=workers, max_tasks_in_flight_per_actor=2)
    shards = ray.data.from_items(
        [{"shard": number} for number in missing], override_num_blocks=len(missing)
    )
    return iter(
        shards.map_batches(
            ShardEmbedder,
            batch_size=1,
            compute=pool,
            num_cpus=0 if gpus else 1,
            num_gpus=1 if gpus else 0,
            fn_constructor_args=(about,),
        ).iter_rows()
    )


def _gathered(
    rows: Iterator[dict[str, Any]],
    total: int,
    shards: int,
    workers: int,
    watch: Watch,
    progress: Progress,
) -> dict[str, float]:
    """Wait for the shards and report them; stop waiting for a slow node's last ones.

    The module's docstring says when.
    """
    speeds = Speeds()
    images = 0
    done = 0
    slowest = 0.0
    heard = time.monotonic()
    for row in _heard(rows):
        if row is not None:
            if row["fault"]:
                raise BadInput(str(row["fault"]))
            heard = time.monotonic()
            done = done + 1
            images = images + int(row["images"])
            slowest = max(slowest, float(row["ended"]) - float(row["began"]))
            speeds.add(row)
        watch.look()
        progress(min(images, total), total, f"images ({speeds})" if done else "images")
        silence = time.monotonic() - heard
        if (
            done
            and 0 < shards - done <= workers
            and silence > max(limits().slow_shard_s, 3 * slowest)
        ):
            break
    return speeds.each()


def _heard(rows: Iterator[dict[str, Any]]) -> Iterator[dict[str, Any] | None]:
    """Yield the rows as they come, and None after every second without one, to allow cancelling."""
    box: queue.Queue = queue.Queue()
    stopped = threading.Event()

    def fetch() -> None:
        try:
            for row in rows:
                box.put(row)
                if stopped.is_set():
                    return
            box.put(_END)
        except BaseException as error:  # noqa: BLE001 - raised again in the waiting thread
            box.put(error)

    threading.Thread(target=fetch, daemon=True).start()
    try:
        while True:
            try:
                row = box.get(timeout=1.0)
            except queue.Empty:
                yield None
                continue
            if row is _END:
                return
            if isinstance(row, BaseException):
                raise row
            yield row
    finally:
        stopped.set()


class Speeds:
    """Images per second of each node, from its first shard's start to its last shard's end."""

    def __init__(self) -> None:
        self._seen: dict[str, tuple[int, float, float]] = {}

    def add(self, row: dict[str, Any]) -> None:
        node = str(row["node"])[:8]
        began = float(row["began"])
        ended = float(row["ended"])
        count, first, last = self._seen.get(node, (0, began, ended))
        self._seen[node] = (count + int(row["images"]), min(first, began), max(last, ended))

    def each(self) -> dict[str, float]:
        return {
            node: round(count / max(last - first, 1e-3), 2)
            for node, (count, first, last) in self._seen.items()
        }

    def __str__(self) -> str:
        return ", ".join(f"{node} {speed:.0f}/s" for node, speed in sorted(self.each().items()))

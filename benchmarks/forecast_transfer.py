"""Does the forecast hold on what its constants were not estimated on?

    python benchmarks/forecast_transfer.py measure FOLDER [--raw transfer.jsonl] [--seeds 3]
        [--parts a,b]
    python benchmarks/forecast_transfer.py tables [--raw transfer.jsonl] [--docs docs/forecast.md]

Three parts. `large`: 20,000 images of Fashion-MNIST and 4,000 to test on, FOLDER/large.npz; above
10,000 images the methods over all pairs go by a sample. `elpv_lite2` and `wesnoth_lite2`: the
pictures of two sets through EfficientNet-Lite2, FOLDER/NAME.npz. `network`: the pools of
`benchmarks/methods.py` of Fashion-MNIST, where a small convolutional network that is trained on the
pixels is the truth; FOLDER/fashion.npz and FOLDER/pixels.npz hold the same images in the same
order, the second as (N, 784) vectors. Constants are those of the product.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

sys.path[0] = str(Path(__file__).resolve().parent.parent)  # benchmarks/coverage.py hides a package

from benchmarks import forecast, methods  # noqa: E402

CANDIDATES = ("kmedoids", "typiclust", "facility_location", "facility_location_full", "d2")
CANDIDATES = (*CANDIDATES, "maxherding", "prototypicality")
PARTS = {  # pruning rates
    "large": (0.7, 0.9, 0.98),
    "elpv_lite2": (0.5, 0.8, 0.9, 0.95, 0.99),
    "wesnoth_lite2": (0.5, 0.8, 0.9, 0.95, 0.99),
    "network": (0.8, 0.95),
}
SIZES = {"large": (20_000, 4000), "elpv_lite2": (1500, 724), "wesnoth_lite2": (1500, 1000)}
N_DRAWS = {"network": 3}
STEPS = 400  # of the network, batches of 64
LEFT_OUT_OF_NETWORK = ("facility_location", "d2", "prototypicality")


def main() -> None:
    """Measure what is not in the raw file yet, or print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    measuring = commands.add_parser("measure")
    measuring.add_argument("folder", type=Path)
    measuring.add_argument("--seeds", type=int, default=3)
    measuring.add_argument("--parts", default=",".join(PARTS))
    reporting = commands.add_parser("tables")
    reporting.add_argument("--docs", type=Path, help="page whose table is replaced")
    for part in (measuring, reporting):
        part.add_argument("--raw", type=Path, default=Path("transfer.jsonl"))
    options = parser.parse_args()
    if options.command == "measure":
        measure(options)
    else:
        from benchmarks.forecast_report.transfer import write_table

        write_table(options.raw, options.docs)


def measure(options: argparse.Namespace) -> None:
    """Append the rows of every part and seed that the raw file lacks."""
    methods.SIZES.update(SIZES)
    for seed in range(options.seeds):
        for name in options.parts.split(","):
            done = {(row["set"], row["seed"]) for row in methods.read(options.raw)}
            if (name, seed) in done:
                continue
            began = time.process_time()
            with tempfile.TemporaryDirectory() as folder:
                kind = Trained if name == "network" else forecast.Measured
                base = "fashion" if name == "network" else name
                measured = kind(options.folder, base, seed, Path(folder))
                rows = [row | dict(set=name) for row in rows_of(measured, name)]
            with open(options.raw, "a", encoding="utf-8") as out:
                out.write("".join(json.dumps(row) + "\n" for row in rows))
            print(f"{name} {seed}: {time.process_time() - began:.0f} s CPU", flush=True)


def rows_of(measured: forecast.Measured, name: str) -> Iterator[dict]:
    """Random and every candidate at every rate."""
    from coreset_engine.core.rates import kept_count
    from coreset_engine.selection.keyed_random import random_order

    draws = range(N_DRAWS.get(name, forecast.N_RANDOM))
    orders = [random_order(measured.run.dataset.ids, measured.seed + 7919 + i) for i in draws]
    left_out = LEFT_OUT_OF_NETWORK if name == "network" else ()
    for rate in PARTS[name]:
        k = kept_count(measured.n, rate)
        yield measured.row(rate, "random", {}, [order[:k] for order in orders])
        for method in CANDIDATES:
            if method not in left_out:
                params = {"keep": "easy"} if method == "prototypicality" else {}
                kept = measured.coreset(method, params, rate)
                yield measured.row(rate, method, params, [kept])


class Trained(forecast.Measured):
    """A pool whose truth is a network trained on the pixels."""

    def __init__(self, folder: Path, name: str, seed: int, target: Path) -> None:
        super().__init__(folder, name, seed, target)
        methods.SIZES["pixels"] = methods.SIZES["fashion"]
        self.pixels = methods.drawn(folder, "pixels", seed)
        if not np.array_equal(self.pixels["labels"], self.pool.data["labels"]):
            raise SystemExit("pixels.npz must hold the images of fashion.npz in the same order.")

    def truth(self, kept: np.ndarray) -> dict[str, float]:
        """Accuracy of the network under the pool's mix of classes and the mean over classes."""
        kept = np.sort(kept)
        found = guesses(
            self.pixels["vectors"][kept],
            self.pixels["labels"][kept],
            self.pixels["test_vectors"],
            self.pool.n_classes,
            self.seed,
        )
        micro, macro = self.recalls(found)
        return dict(linear=micro, linear_balanced=macro)


def guesses(
    pixels: np.ndarray, labels: np.ndarray, test: np.ndarray, n_classes: int, seed: int
) -> np.ndarray:
    """(M,) classes of the test images by a network of two convolutions, trained for STEPS steps."""
    import torch
    from torch import nn

    torch.manual_seed(seed)
    scale = 255.0 if pixels.max() > 1 else 1.0
    images = torch.tensor(pixels / scale, dtype=torch.float32).reshape(-1, 1, 28, 28)
    targets = torch.tensor(labels)
    network = nn.Sequential(
        *(nn.Conv2d(1, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(16, 32, 3, padding=1), nn.BatchNorm2d(32), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Flatten(), nn.Linear(32 * 49, n_classes)),
    )
    optimizer = torch.optim.AdamW(network.parameters(), weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, total_steps=STEPS)
    rng = np.random.default_rng(seed)
    for _ in range(STEPS):
        batch = torch.tensor(rng.permutation(len(images))[:64])
        optimizer.zero_grad()
        nn.functional.cross_entropy(network(images[batch]), targets[batch]).backward()
        optimizer.step()
        schedule.step()
    network.eval()
    with torch.no_grad():
        rows = torch.tensor(test / scale, dtype=torch.float32).reshape(-1, 1, 28, 28)
        return network(rows).argmax(dim=1).numpy()


if __name__ == "__main__":
    main()

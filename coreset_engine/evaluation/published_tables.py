"""Tables of accuracies as their papers print them, with what each row was made by.

`coreset reproduce NAME` measures them again. Figures are accuracies in percent at the table's
pruning rates; rows say the method, the recipe and settings it runs with, and where a row had to
differ from its paper, `note` says so. The records are those of `paper_table`; this module is the
data alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from coreset_engine.core.errors import unknown_name
from coreset_engine.evaluation.paper_table import RATES, PaperRow, PaperTable
from coreset_engine.evaluation.stage_tables import STAGE_TABLES, StageTable

SWAV = {"encoder": "resnet50_swav"}
DINO = {"encoder": "dino"}
TRUE = {"labels": "true"}
FORGETTING = {"score": "forgetting"}
PROXY = {"proxy": "resnet18"}
BADGE_NOTE = "BADGE samples once from a linear proxy's gradients, not in rounds of a network"


def _elfs_table(
    name: str, title: str, dataset: str, full: float, rows: tuple[PaperRow, ...], **more: Any
) -> PaperTable:
    return PaperTable(
        name,
        title,
        f"ELFS (arXiv 2406.04273), table {name.split('-')[1]}",
        dataset,
        more.pop("model", "resnet18"),
        full,
        rows,
        note=BADGE_NOTE,
        **more,
    )


def _baselines(*figures: tuple[float, ...]) -> tuple[PaperRow, ...]:
    """Random, Prototypicality, BADGE and label-free D2 of ELFS' tables."""
    random, prototypicality, badge, d2 = figures
    return (
        PaperRow("Random", "random", random),
        PaperRow("Prototypicality", "prototypicality", prototypicality, run=SWAV),
        PaperRow("Badge", "badge", badge, run=DINO),
        PaperRow("D2 (label free)", "d2", d2, "d2-label-free", run=SWAV),
    )


CIFAR = dict(steps=40_000, minutes=65.0)
_CIFAR10_RANDOM = (94.3, 93.4, 90.9, 88.0, 79.0)
_CIFAR10_ELFS = (95.3, 94.9, 93.3, 90.1, 86.9)
_ELFS = (
    _elfs_table(
        "elfs-1-cifar10",
        "Pretrained vision models, CIFAR10",
        "CIFAR-10",
        95.5,
        (
            *_baselines(
                _CIFAR10_RANDOM,
                (94.7, 92.9, 90.1, 84.2, 70.9),
                (93.6, 93.0, 91.0, 87.9, 81.6),
                (94.3, 93.8, 91.6, 85.1, 71.4),
            ),
            PaperRow(
                "ELFS (SwAv)", "elfs", (95.0, 93.6, 92.5, 89.0, 82.0), "elfs-paper-cifar10-swav"
            ),
            PaperRow(
                "ELFS (CLIP)", "elfs", (94.5, 94.7, 92.8, 89.6, 84.8), "elfs-paper-cifar10-clip"
            ),
            PaperRow("ELFS (DINO)", "elfs", _CIFAR10_ELFS, "elfs-paper-cifar10"),
        ),
        **CIFAR,
    ),
    _elfs_table(
        "elfs-1-cifar100",
        "Pretrained vision models, CIFAR100",
        "CIFAR-100",
        78.7,
        (
            *_baselines(
                (74.6, 71.1, 65.3, 57.4, 44.8),
                (74.5, 69.8, 61.1, 48.3, 32.1),
                (74.7, 71.8, 65.2, 58.9, 47.8),
                (75.3, 71.3, 66.0, 56.2, 42.1),
            ),
            PaperRow(
                "ELFS (SwAv)", "elfs", (73.5, 73.1, 66.5, 58.4, 50.6), "elfs-paper-cifar100-swav"
            ),
            PaperRow(
                "ELFS (CLIP)", "elfs", (75.3, 71.2, 65.9, 58.3, 48.8), "elfs-paper-cifar100-clip"
            ),
            PaperRow("ELFS (DINO)", "elfs", (76.8, 74.0, 68.4, 61.9, 54.9), "elfs-paper-cifar100"),
        ),
        **CIFAR,
    ),
    _elfs_table(
        "elfs-3",
        "Label-free methods with DINO and with SwAv, CIFAR10",
        "CIFAR-10",
        95.5,
        (
            PaperRow(
                "Prototypicality (DINO)",
                "prototypicality",
                (94.9, 93.8, 86.6, 75.7, 42.6),
                run=DINO,
            ),
            PaperRow(
                "Label-free D2 (DINO)", "d2", (94.2, 93.1, 91.5, 88.2, 82.8), "d2-label-free", DINO
            ),
            PaperRow("ELFS (DINO)", "elfs", _CIFAR10_ELFS, "elfs-paper-cifar10"),
            PaperRow(
                "Prototypicality (SwAv)",
                "prototypicality",
                (94.7, 92.9, 90.1, 84.2, 70.9),
                run=SWAV,
            ),
            PaperRow(
                "Label-free D2 (SwAv)", "d2", (94.3, 93.8, 91.6, 85.1, 71.4), "d2-label-free", SWAV
            ),
            PaperRow(
                "ELFS (SwAv)", "elfs", (95.0, 93.6, 92.5, 89.0, 82.0), "elfs-paper-cifar10-swav"
            ),
        ),
        **CIFAR,
    ),
    _elfs_table(
        "elfs-4",
        "Transfer of ResNet18's coresets to other networks, CIFAR10, forgetting",
        "CIFAR-10",
        95.5,
        (
            PaperRow("Random (ResNet18)", "random", _CIFAR10_RANDOM),
            *(
                PaperRow(
                    f"ELFS ({title})",
                    "elfs",
                    figures,
                    "elfs-paper-cifar10",
                    params=FORGETTING,
                    options={"model": network},
                )
                for title, network, figures in (
                    ("ResNet18", "resnet18", _CIFAR10_ELFS),
                    ("ResNet34", "resnet34", (95.4, 95.3, 93.1, 90.9, 87.6)),
                    ("ResNet50", "resnet50", (95.4, 94.8, 93.1, 90.3, 87.3)),
                )
            ),
        ),
        **CIFAR,
    ),
    _elfs_table(
        "elfs-5",
        "Sampling methods, CIFAR100, forgetting",
        "CIFAR-100",
        78.7,
        (
            PaperRow(
                "D2 (Best Label-Free)", "d2", (75.3, 71.3, 66.0, 56.2, 42.1), "d2-label-free", SWAV
            ),
            PaperRow(
                "CCS (Pseudo Label)",
                "ccs",
                (75.5, 72.9, 67.2, 60.9, 51.8),
                run={**DINO, **PROXY},
                params=FORGETTING,
            ),
            PaperRow(
                "ELFS",
                "elfs",
                (76.8, 74.0, 68.4, 61.9, 54.9),
                "elfs-paper-cifar100",
                params=FORGETTING,
            ),
            PaperRow(
                "CCS (Supervised)",
                "ccs",
                (77.1, 74.5, 68.9, 64.0, 56.0),
                "ccs-paper",
                params={**TRUE, **FORGETTING},
            ),
        ),
        **CIFAR,
    ),
    _elfs_table(
        "elfs-8",
        "ImageNet-1K",
        "ImageNet-1K",
        73.1,
        (
            *_baselines(
                (72.2, 70.3, 66.7, 62.5, 52.3),
                (70.9, 60.8, 54.6, 41.9, 30.6),
                (71.7, 70.4, 65.8, 61.7, 53.4),
                (72.3, 65.6, 55.6, 50.8, 43.2),
            ),
            PaperRow("ELFS (DINO)", "elfs", (73.5, 71.8, 67.2, 63.4, 54.9), "elfs-paper-imagenet"),
        ),
        model="resnet34",
        steps=300_000,
        minutes=31 * 60.0,
        seeds=1,
    ),
    _elfs_table(
        "elfs-9-cinic10",
        "CINIC10",
        "CINIC-10",
        89.9,
        (
            *_baselines(
                (88.9, 87.6, 85.1, 82.6, 77.3),
                (88.8, 87.4, 83.7, 80.9, 72.0),
                (87.3, 86.5, 84.2, 82.6, 78.1),
                (89.1, 87.8, 85.6, 80.6, 66.4),
            ),
            PaperRow("ELFS (DINO)", "elfs", (89.9, 87.8, 85.7, 84.9, 80.2), "elfs-paper-cinic10"),
        ),
        minutes=80.0,
    ),
    _elfs_table(
        "elfs-9-stl10",
        "STL10",
        "STL-10, its labelled part",
        79.3,
        (
            *_baselines(
                (75.6, 70.2, 64.0, 57.9, 45.4),
                (66.5, 60.5, 43.2, 37.6, 20.8),
                (68.4, 63.7, 57.9, 51.0, 44.1),
                (76.2, 69.2, 58.2, 52.7, 40.2),
            ),
            PaperRow("ELFS (DINO)", "elfs", (77.0, 73.9, 65.7, 61.3, 52.7), "elfs-paper-stl10"),
        ),
        steps=6_400,
        minutes=50.0,
    ),
)


def _zcore_table(
    name: str,
    title: str,
    dataset: str,
    full: float,
    figures: Mapping[str, tuple[float, ...]],
    **more: Any,
) -> PaperTable:
    """A table of BlindCS; baselines that train do so on true labels."""
    supervised = {"run": PROXY, "params": TRUE}
    made: dict[str, dict[str, Any]] = {
        "BlindCS": dict(method="blindcs", recipe="zcore-paper", options={"loss_weights": True}),
        "Random": dict(method="random"),
        "TDDS": dict(method="tdds", recipe="tdds-paper"),
        "Moderate": dict(method="moderate", params=TRUE),
        "Entropy": dict(method="entropy", **supervised),
        "Forgetting": dict(method="forgetting", **supervised),
        "Dyn-Unc": dict(method="dyn_unc", **supervised),
        "AUM": dict(method="aum", **supervised),
        "EL2N": dict(method="el2n", **supervised),
    }
    rows = tuple(PaperRow(label, figures=row, **made[label]) for label, row in figures.items())
    return PaperTable(
        name,
        title,
        f"BlindCS (ZCore, arXiv 2411.15349), table {name.split('-')[1]}",
        dataset,
        more.pop("model", "resnet18"),
        full,
        rows,
        note="batches of 256 where the paper has 128",
        **more,
    )


PASSES: dict[str, Any] = dict(epochs=200)
_BLINDCS = (
    _zcore_table(
        "blindcs-3-cifar10",
        "CIFAR10",
        "CIFAR-10",
        95.23,
        {
            "BlindCS": (94.58, 93.46, 90.97, 89.06, 84.18),
            "Random": (94.58, 93.38, 90.61, 88.87, 83.77),
            "TDDS": (95.47, 95.21, 93.03, 91.30, 85.46),
            "Moderate": (93.96, 92.34, 89.71, 87.75, 83.61),
            "Entropy": (94.45, 91.90, 86.24, 83.49, 72.06),
            "Forgetting": (95.45, 95.05, 89.14, 76.18, 45.87),
            "Dyn-Unc": (95.08, 94.03, 89.40, 79.76, 37.12),
            "AUM": (95.44, 95.19, 91.19, 69.60, 34.74),
            "EL2N": (95.43, 95.06, 86.69, 68.64, 31.89),
        },
        **PASSES,
    ),
    _zcore_table(
        "blindcs-3-cifar100",
        "CIFAR100",
        "CIFAR-100",
        78.21,
        {
            "BlindCS": (76.04, 72.87, 65.92, 61.92, 52.11),
            "Random": (75.53, 71.95, 64.59, 57.79, 46.68),
            "TDDS": (77.56, 74.04, 67.78, 63.01, 54.51),
            "Moderate": (74.60, 70.29, 62.81, 56.52, 41.82),
            "Entropy": (72.39, 64.44, 50.73, 42.86, 29.56),
            "Forgetting": (77.38, 70.76, 49.92, 38.42, 25.82),
            "Dyn-Unc": (73.36, 65.90, 50.16, 39.19, 15.20),
            "AUM": (77.35, 68.17, 31.69, 18.43, 9.29),
            "EL2N": (76.89, 67.57, 36.45, 17.31, 9.10),
        },
        **PASSES,
    ),
    _zcore_table(
        "blindcs-4",
        "ImageNet",
        "ImageNet-1K",
        73.54,
        {
            "BlindCS": (64.43, 61.31, 53.99),
            "Random": (64.19, 60.76, 52.63),
            "TDDS": (64.69, 62.56, 53.91),
            "Forgetting": (64.29, 62.01, 52.14),
            "Moderate": (64.04, 61.35, 52.45),
            "Entropy": (62.34, 56.80, 43.39),
        },
        rates=(0.7, 0.8, 0.9),
        epochs=60,
        model="resnet34",
    ),
    *(
        _zcore_table(
            f"blindcs-6-eurosat{part}",
            f"EuroSAT, {part} % to train on",
            f"EuroSAT, {part} % of it, the rest as the test split",
            full,
            {"BlindCS": blindcs, "Random": random, "TDDS": tdds},
            **PASSES,
        )
        for part, full, blindcs, random, tdds in (
            (
                *(80, 98.59),
                (98.32, 98.15, 97.72, 97.31, 95.80),
                (98.20, 97.94, 96.98, 96.65, 94.72),
                (98.62, 98.58, 98.43, 98.09, 96.28),
            ),
            (
                *(40, 98.20),
                (97.59, 97.53, 96.45, 96.06, 92.94),
                (97.04, 96.43, 95.00, 93.73, 90.69),
                (97.97, 98.06, 97.55, 96.79, 92.78),
            ),
            (
                *(20, 98.59),
                (96.49, 95.45, 92.60, 91.80, 80.39),
                (95.14, 93.25, 89.36, 88.01, 83.30),
                (96.94, 96.45, 93.86, 94.70, 86.94),
            ),
            (
                *(10, 93.64),
                (93.71, 91.82, 86.08, 81.77, 63.96),
                (90.35, 87.55, 83.06, 78.97, 72.81),
                (94.62, 92.92, 89.41, 85.56, 74.74),
            ),
        )
    ),
)


def _ablation(label: str, figure: float | None, **changes: Any) -> PaperRow:
    """A row of BlindCS' table 5: the full method with something changed."""
    options = {"loss_weights": True} | changes.pop("options", {})
    return PaperRow(label, "blindcs", (figure,), "zcore-paper", run=changes, options=options)


def _mean_table(name: str, title: str, number: str, rows: tuple[PaperRow, ...]) -> PaperTable:
    return PaperTable(
        name,
        title,
        f"BlindCS (ZCore, arXiv 2411.15349), {number}",
        "CIFAR-100",
        "resnet18",
        78.21,
        rows,
        note="batches of 256 where the paper has 128",
        mean_over_rates=True,
        **PASSES,
    )


_RANDOM = {"distribution": "images"}
_ABLATIONS = (
    _mean_table(
        "blindcs-5",
        "Ablations, mean over 30-90 % pruned, CIFAR100",
        "table 5",
        (
            _ablation("Full method", 65.77),
            _ablation("ResNet18 alone", 65.52, encoder="resnet18"),
            _ablation("CLIP alone", 64.84, encoder="clip"),
            _ablation("Gaussian samples", 65.75, coverage={"distribution": "gaussian"}),
            _ablation("Uniform samples", 64.84, coverage={"distribution": "uniform"}),
            _ablation("m = 1", 64.59, coverage={"n_dims": 1}),
            _ablation("m = 3", 65.10, coverage={"n_dims": 3}),
            _ablation("m = 10", 63.27, coverage={"n_dims": 10}),
            _ablation("m = 100", 62.20, coverage={"n_dims": 100}),
            # The table marks embedding, distribution and m as not applicable and the full score as
            # not used: coverage alone, of images drawn uniformly. The text can also be read as the
            # full score around such an image.
            _ablation(
                "Random coverage sample", 64.74, coverage=_RANDOM | {"full_score": "coverage"}
            ),
            _ablation("Random coverage sample, with redundancy", None, coverage=_RANDOM),
            _ablation("No redundancy score", 61.71, coverage={"full_score": "coverage"}),
            _ablation("No loss weights", 63.53, options={"loss_weights": False}),
        ),
    ),
    _mean_table(
        "blindcs-fig-4",
        "Samples T against the mean accuracy over 30-90 % pruned, CIFAR100",
        "figure 4",
        tuple(
            _ablation(f"T = {count:,}", 65.77 if count == 10**6 else None, n_samples=count)
            for count in (100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000)
        ),
    ),
)


def _beta_table(part: str, title: str, options: Mapping[str, Any]) -> PaperTable:
    """ELFS' figure 6: every beta at every rate; the paper draws curves, no figures."""
    rows = tuple(
        PaperRow(
            f"beta = {tenths / 10}",
            "elfs",
            (None,) * len(RATES),
            "elfs-paper-cifar100",
            params={**FORGETTING, "beta": tenths / 10},
            options=options,
        )
        for tenths in range(9)
    )
    return PaperTable(
        f"elfs-fig-6{part}",
        title,
        f"ELFS (arXiv 2406.04273), figure 6({part})",
        "CIFAR-100",
        "resnet18",
        78.7,
        rows,
        note="the paper plots curves without numbers; a beta that leaves too few images is an "
        "error of its cell",
        steps=40_000,
        minutes=65.0,
    )


_BETAS = (
    _beta_table("a", "Pseudo-label validation accuracy of each beta", {"labels": "pseudo"}),
    _beta_table("b", "Ground-truth test accuracy of each beta", {"labels": "true"}),
)
# DeepCore's fractions of CIFAR-10, 0.1 to 90 % kept.
KEPT = (0.9, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1, 0.05, 0.01, 0.005, 0.001)
_DEEPCORE_PROXY = {"proxy": "resnet18", "proxy_settings": {"epochs": 10}}
_SURVEY = PaperTable(
    "survey-cifar10",
    "DeepCore's protocol: scores of a proxy trained for 10 epochs, 0.1 to 90 % kept",
    "the survey of coreset selection, CIFAR-10",
    "CIFAR-10",
    "resnet18",
    95.5,
    tuple(
        PaperRow(
            title,
            method,
            (None,) * len(KEPT),
            run=_DEEPCORE_PROXY if trained else {},
            params=TRUE if labels else {},
        )
        for title, method, trained, labels in (
            ("Random", "random", False, False),
            ("Herding", "herding", False, False),
            ("k-Center Greedy", "k_center", False, False),
            ("Forgetting", "forgetting", True, True),
            ("GraNd", "grand", True, True),
            ("EL2N", "el2n", True, True),
            ("Entropy", "entropy", True, True),
            ("Craig", "craig", False, True),
            ("GradMatch", "gradmatch", False, True),
            ("Glister", "glister", False, True),
            ("Facility location", "facility_location_full", False, False),
            ("Graph cut", "graph_cut", False, False),
        )
    ),
    rates=tuple(round(1 - kept, 4) for kept in KEPT),
    epochs=200,
    note="the survey's figures are not listed here, only its protocol; geometric "
    "methods and the gradients of Craig, GradMatch and Glister are those of the run's encoder and "
    "a "
    "linear proxy, where DeepCore takes the 10-epoch network's",
)
TABLES: dict[str, PaperTable] = {
    table.name: table for table in (*_ELFS, *_BETAS, *_BLINDCS, *_ABLATIONS, _SURVEY)
}


def find_table(name: str) -> PaperTable | StageTable:
    """The table called `name`, else BadInput with near misses and all names."""
    known: dict[str, PaperTable | StageTable] = {**TABLES, **STAGE_TABLES}
    key = str(name).strip().lower()
    if key in known:
        return known[key]
    raise unknown_name("table", name, known)

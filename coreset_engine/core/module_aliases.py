"""Module paths of the first edition, so that scripts and notebooks written for it still work.

`install` adds a finder that answers an old dotted name with the module that now lives elsewhere:
both names give the same object. New code imports from the new place.

Finder and loaders inherit from nothing: `importlib.abc` would double what `import coreset_engine`
costs.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Mapping, Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

# Old name -> new name, both below `coreset_engine`.
ENGINE = {
    "coverage.auto": "coverage.auto_alpha",
    "coverage.columns": "coverage.transposed",
    "coverage.groups": "coverage.partitions",
    "coverage.kernel": "coverage.kernels.cpu",
    "coverage.search": "coverage.kernels.search",
    "coverage.simd": "coverage.kernels.simd",
    "coverage.spread": "coverage.kernels.penalty",
    "coverage.torch_kernel": "coverage.kernels.cuda",
    "coverage.workers": "coverage.kernels.threads",
    "database": "core.fiftyone_database",
    "device": "core.device",
    "difficulty.alignment": "clustering.alignment",
    "difficulty.augment": "training.augmentation",
    "difficulty.beta_search": "evaluation.beta_search",
    "difficulty.clustering": "clustering.pseudo_labels",
    "difficulty.dynamics": "training.dynamics",
    "difficulty.heads": "clustering.heads",
    "difficulty.kmeans": "clustering.kmeans",
    "difficulty.kmeans_at_scale": "clustering.kmeans_out_of_core",
    "difficulty.matching": "clustering.contingency",
    "difficulty.pieces": "core.row_blocks",
    "difficulty.proposal": "clustering.n_clusters",
    "difficulty.proxies": "training.proxies",
    "difficulty.readahead": "core.prefetch",
    "difficulty.resnet": "training.networks",
    "difficulty.rows": "clustering.vectors",
    "difficulty.scores": "training.scores",
    "difficulty.streaming": "core.row_streaming",
    "difficulty.temi": "clustering.temi",
    "difficulty.training": "training.loop",
    "embedding.at_scale": "embedding.neighbours.ivfpq",
    "embedding.candidates": "embedding.neighbours.candidates",
    "embedding.codes": "embedding.neighbours.ivfpq_codes",
    "embedding.neighbourhood": "embedding.neighbours.search",
    "embedding.networks": "embedding.encoders.networks",
    "errors": "core.errors",
    "evaluation.picture": "evaluation.budget_curve",
    "evaluation.pixels": "training.pixels",
    "evaluation.radius": "evaluation.covering_radius",
    "evaluation.splitting": "evaluation.split",
    "evaluation.training": "evaluation.subset_training",
    "export.coco": "export.formats.coco",
    "export.database": "export.fiftyone.mongodb",
    "export.fiftyone_app": "export.fiftyone.app",
    "export.fiftyone_disk": "export.fiftyone.disk",
    "export.fiftyone_live": "export.fiftyone.live",
    "export.folder": "artifacts.selection_folder",
    "export.given": "sources.label_import",
    "export.huggingface": "export.formats.huggingface",
    "export.imagefolder": "export.formats.imagefolder",
    "export.label_studio": "export.formats.label_studio",
    "export.layers": "export.fiftyone.layers",
    "export.media": "export.formats.image_files",
    "export.parcel": "export.bundle",
    "export.pictures": "export.formats.images",
    "export.pytorch_subset": "export.formats.pytorch",
    "export.table": "export.formats.csv_table",
    "export.webdataset": "export.formats.webdataset",
    "fiftyone_plugin": "export.fiftyone.plugin",
    "ids": "core.ids",
    "knobs": "core.config",
    "registry": "core.registry",
    "run.betas": "evaluation.beta_stage",
    "run.bundle": "jobs.diagnostics",
    "run.cli": "cli.main",
    "run.cluster": "distributed.ray_cluster",
    "run.cluster_clusters": "distributed.clustering",
    "run.cluster_columns": "distributed.coverage_partitions",
    "run.cluster_embedding": "distributed.embedding",
    "run.cluster_stages": "distributed.tasks",
    "run.cluster_whole": "distributed.full_stages",
    "run.corrections": "pipeline.corrections",
    "run.disk": "artifacts.filesystem",
    "run.evaluating": "evaluation.experiment",
    "run.exporting": "export.targets",
    "run.faults": "artifacts.internal_errors",
    "run.gc": "jobs.gc",
    "run.history": "artifacts.history",
    "run.inclusion": "evaluation.inclusion",
    "run.inputs": "pipeline.stage_inputs",
    "run.inside_fiftyone": "export.fiftyone.plugin_backend",
    "run.interrupt": "cli.interrupt",
    "run.jobs": "jobs.manager",
    "run.limits": "pipeline.memory_limits",
    "run.logs": "artifacts.log",
    "run.near": "pipeline.neighbour_search",
    "run.output": "pipeline.manifest",
    "run.pipeline": "pipeline.run",
    "run.relabelling": "pipeline.label_rounds",
    "run.selecting": "pipeline.select",
    "run.store": "artifacts.store",
    "run.totals": "pipeline.counts",
    "run.verbs_beta": "cli.commands.beta",
    "run.verbs_evaluate": "cli.commands.evaluate",
    "run.verbs_export": "cli.commands.export",
    "run.verbs_store": "cli.commands.store",
    "run.views": "pipeline.sampled_run",
    "run.work": "jobs.worker",
    "selection.arithmetic": "selection.budget",
    "selection.baselines": "selection.methods.baselines",
    "selection.canonical": "selection.canonical_order",
    "selection.choosing": "selection.select",
    "selection.draws": "selection.keyed_random",
    "selection.geometric": "selection.methods.geometric",
    "selection.gradients": "selection.methods.gradients",
    "selection.graphs": "selection.methods.graphs",
    "selection.greedy": "selection.kernels.greedy",
    "selection.matching": "selection.kernels.gradient_matching",
    "selection.partition": "selection.kernels.kmeans_partition",
    "selection.pool": "selection.candidates",
    "selection.prototypes": "selection.methods.prototypes",
    "selection.proxy": "selection.kernels.linear_proxy",
    "selection.recommended": "selection.methods.auto",
    "selection.rows": "selection.kernels.vectors",
    "selection.scored": "selection.methods.scored",
    "selection.kernels.turns": "selection.kernels.interleave",
    "selection.stratified": "selection.methods.stratified",
    "sources.arrays": "sources.builtin",
    "sources.columns": "sources.arrow_columns",
    "sources.containers": "sources.remote.containers",
    "sources.looking": "sources.remote.scan",
    "sources.names": "sources.safe_names",
    "sources.opened": "sources.remote.index_cache",
    "sources.opening": "sources.open",
    "sources.parquets": "sources.remote.parquet",
    "sources.places": "sources.remote.storage",
    "sources.scanning": "sources.walk",
    "sources.slices": "sources.remote.readers",
    "sources.stores": "sources.remote.clients",
    "sources.tars": "sources.remote.tar",
    "types": "core.types",
}


class _AliasLoader:
    """Loads nothing: hands over the module under its new name, unchanged."""

    def __init__(self, target: str) -> None:
        self._target = target

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        module = importlib.import_module(self._target)
        self._own_spec = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        module.__spec__ = self._own_spec


class _PackageLoader:
    """An empty package that only stands for the old names below it."""

    def create_module(self, spec: ModuleSpec) -> None:
        return None

    def exec_module(self, module: ModuleType) -> None:
        module.__path__ = []


class AliasFinder:
    """Finds old module names of one top-level package.

    Parameters
    ----------
    root
        Name of the top-level package, for example "coreset_engine".
    aliases
        Old name to new name, both relative to `root`.
    """

    def __init__(self, root: str, aliases: Mapping[str, str]) -> None:
        self.aliases = {f"{root}.{old}": f"{root}.{new}" for old, new in aliases.items()}
        self.packages = {name.rpartition(".")[0] for name in self.aliases} - {root}

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname in self.aliases:
            alias: Any = _AliasLoader(self.aliases[fullname])
            return ModuleSpec(fullname, alias)
        if fullname in self.packages:
            package: Any = _PackageLoader()
            return ModuleSpec(fullname, package, is_package=True)
        return None


def install(root: str, aliases: Mapping[str, str]) -> None:
    """Answer the old names of `root` after every other finder has failed; once per root."""
    for finder in sys.meta_path:
        if isinstance(finder, AliasFinder) and f"{root}." in next(iter(finder.aliases)):
            return
    sys.meta_path.append(AliasFinder(root, aliases))

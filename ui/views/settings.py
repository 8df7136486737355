"""Settings of the run on Home: encoder, clusters, seed, proxy and the rest, and what each costs."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from coreset_engine.core.registry import CLUSTERERS, ENCODERS, PROXIES, Row
from coreset_engine.pipeline.config import SEARCHES, config_class, setting_groups
from ui.components.escape import markdown as escaped
from ui.components.forms import config_form, row_title
from ui.components.frame import stage_names
from ui.components.jobs import cluster
from ui.state import session
from ui.views.recipe_menu import recipe_menu, recipe_settings

DEVICES = ("auto", "cpu", "cuda")
# Stage -> stages made from it.
FOLLOWING = {
    "embeddings": ("neighbours", "pseudo_labels", "dynamics", "coverage", "map"),
    "neighbours": ("pseudo_labels", "dynamics", "map"),
    "pseudo_labels": ("dynamics",),
}
# Encoder -> what its weights are called in the caches of torch and Hugging Face.
WEIGHT_FILES = {
    "efficientnet_lite1": "models--timm--tf_efficientnet_lite1*",
    "efficientnet_lite2": "models--timm--tf_efficientnet_lite2*",
    "resnet18": "resnet18-*",
    "resnet50_swav": "swav_800ep_pretrain*",
    "clip": "models--*clip*vit*large*patch14*",
    "dino": "models--timm--vit_base_patch16_224.dino*",
    "dinov2": "models--timm--vit_base_patch14_dinov2*",
}


def recomputes(setting: str) -> str:
    """What a change of this setting makes necessary, for its help text."""
    fields = {field.name: field for field in dataclasses.fields(session.RunConfig)}
    first = fields[setting].metadata.get("stages", ())
    later = [stage for one in first for stage in (one, *FOLLOWING.get(one, ()))]
    stages = [stage for stage in session.STAGES if stage in later]
    if stages == list(session.STAGES):
        return "Recomputes everything; the embeddings take longest."
    return f"Recomputes: {stage_names(stages)}." if stages else "Recomputes nothing."


def weights_state(encoder: str) -> str:
    """ "installed", or "needs download", judged by the files in the usual caches."""
    row = ENCODERS.get(encoder)
    if row is not None and "download" not in row.needs:
        return "installed"
    pattern = WEIGHT_FILES.get(encoder)
    installed = pattern is not None and any(
        any(folder.glob(pattern)) for folder in _weight_caches() if folder.is_dir()
    )
    return "installed" if installed else "needs download"


def _weight_caches() -> tuple[Path, Path]:
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    torch = Path(os.environ.get("TORCH_HOME") or cache / "torch")
    hugging_face = Path(os.environ.get("HF_HOME") or cache / "huggingface")
    return torch / "hub" / "checkpoints", hugging_face / "hub"


def encoder_title(name: str) -> str:
    """An encoder in the menu: its title and whether its weights are here."""
    return f"{row_title(ENCODERS, name)} ({weights_state(name)})"


def settings(view: session.RunView) -> None:
    """Encoder, clusters, seed: together with the source they name the run every page shows."""
    left, middle = st.columns([3, 2])
    right, last = st.columns([2, 3])
    st.caption("Results computed with other settings are kept: going back costs nothing.")
    _encoder_menu(left, view)
    _numbers(middle, right, last, len(view))
    one, other = st.columns(2)
    _stage_menus(one, other, view)
    st.text_input(
        "Encoder weights (optional)",
        key=session.bind("weights", ""),
        placeholder="path of a checkpoint on the machine this app runs on",
        help=f"For the encoder above, instead of the published weights. {recomputes('weights')}",
        disabled=view.dataset.vectors is not None,
    )
    advanced(view)
    if find_spec("ray"):
        st.text_input(
            "Ray cluster (optional)",
            key=session.bind("cluster", cluster()),
            placeholder="this machine",
            help="Address of a running cluster, or local to start one here. Jobs then run on all "
            "its nodes, with the same results. Recomputes nothing.",
        )
    st.caption(_in_effect(view))


def _encoder_menu(column: DeltaGenerator, view: session.RunView) -> None:
    encoders = list(ENCODERS)
    if view.encoder not in encoders:
        encoders.append(view.encoder)
    column.selectbox(
        "Encoder",
        encoders,
        key=session.bind("encoder"),
        accept_new_options=True,
        format_func=encoder_title,
        help=f"Also timm:NAME, open_clip:ARCH/TAG, or names joined by +. {recomputes('encoder')}",
        disabled=view.dataset.vectors is not None,
    )


def _numbers(
    clusters: DeltaGenerator, seed: DeltaGenerator, samples: DeltaGenerator, n: int
) -> None:
    """Number of clusters, seed and number of coverage samples, each in its column."""
    clusters.number_input(
        "Clusters (0 = auto)",
        0,
        n,
        key=session.bind("n_clusters"),
        help="0 = automatic: the number of classes when the source has labels, else an estimate "
        f"from the data. {recomputes('n_clusters')}",
    )
    seed.number_input("Seed", 0, 2**31 - 1, key=session.bind("seed"), help=recomputes("seed"))
    samples.number_input(
        "Samples T (0 = auto)",
        0,
        10_000_000,
        step=100_000,
        key=session.bind("n_samples"),
        help="Samples for the coverage scores; 0 = automatic. Time grows with their number. "
        f"{recomputes('n_samples')}",
    )


def _stage_menus(clusterer: DeltaGenerator, proxy: DeltaGenerator, view: session.RunView) -> None:
    """The clusterer, and the proxies that this source's inputs allow."""
    clusterer.selectbox(
        "Pseudo-labels",
        list(CLUSTERERS),
        key=session.bind("clusterer"),
        help=f"{_summaries(CLUSTERERS)}\n\n{recomputes('clusterer')}",
        format_func=lambda name: row_title(CLUSTERERS, name),
    )
    has_images = view.dataset.reader is not None
    proxy.selectbox(
        "Training dynamics",
        [name for name, row in PROXIES.items() if has_images or "images" not in row.needs],
        key=session.bind("proxy"),
        help=f"{_summaries(PROXIES)}\n\n{recomputes('proxy')}",
        format_func=lambda name: row_title(PROXIES, name),
    )


def _in_effect(view: session.RunView) -> str:
    """The encoder's summary and the number of clusters, as a caption."""
    summary = ENCODERS[view.encoder].summary if view.encoder in ENCODERS else "custom model"
    count = view.n_clusters or len(view.dataset.classes)
    clusters = f"{count} clusters" if count else "number of clusters estimated from the data"
    return f"{escaped(summary)}; {clusters}."


def advanced(view: session.RunView) -> None:
    """Settings of the parts of a run, drawn from their config dataclasses."""
    expander = st.expander("Recipes, and settings of each stage", key="advanced", on_change="rerun")
    if not expander.open:  # the dataclasses import torch, which a closed form does not need
        return
    with expander:
        recipe_menu(view)
        left, right = st.columns(2)
        left.selectbox("Neighbour search", SEARCHES, key=session.bind("search"))
        right.selectbox("Device", DEVICES, key=session.bind("device", "auto"))
        for group, field in setting_groups(view.config).items():
            _group_form(group, field.metadata["help"], config_class(view.config, field), field)


def _group_form(group: str, title: str, kind: type, field: dataclasses.Field) -> None:
    """The settings of one part; taken over when its button is pressed."""
    kept = dict((session.get("advanced") or {}).get(group, {}))
    st.markdown(f"**{escaped(group)}**: {escaped(title)}")
    presets = getattr(kind, "PRESETS", {})
    recipe = session.get("recipe")
    key = f"advanced:{recipe}:{group}" if recipe else f"advanced:{group}"  # starts anew with it
    preset = ""
    if presets:
        names = list(presets)
        at = names.index(kept["preset"]) if kept.get("preset") in names else 0
        preset = st.selectbox("Preset", names, index=at, key=f"{key}:preset")
    start = {**presets.get(preset, {}), **{k: v for k, v in kept.items() if k != "preset"}}
    if preset and preset != kept.get("preset", next(iter(presets))):
        start = presets[preset]
    with st.form(f"{key}:form", border=False):
        with st.container(height=320):
            values = config_form(
                kind, key=f"{key}:{preset}", skip=field.metadata["skip"], start=start
            )
        if st.form_submit_button("Apply"):
            _keep_group(group, kind, preset, values)


def _keep_group(group: str, kind: type, preset: str, values: Mapping[str, Any]) -> None:
    """Remember what differs from the preset or the defaults, and what the recipe has set."""
    presets = getattr(kind, "PRESETS", {})
    base = {one.name: one.default for one in dataclasses.fields(kind)} | presets.get(preset, {})
    of_recipe = recipe_settings(session.get("recipe")).get(group, {})  # else it would overrule
    changed = {
        name: value for name, value in values.items() if value != base[name] or name in of_recipe
    }
    if preset and (preset != next(iter(presets)) or "preset" in of_recipe):
        changed["preset"] = preset
    session.put("advanced", {**(session.get("advanced") or {}), group: changed})
    st.rerun()


def _summaries(table: Mapping[str, Row]) -> str:
    return "\n".join(f"- **{row.title}**: {row.summary}" for row in table.values())

"""Settings of a run's stages by their own names, where the name alone says whose it is.

`--set coverage.exponent=4` names the group. `--param exponent=4` of the shell and
`Run(dataset, margin="probability")` of a notebook do not have to.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import Field, fields, replace
from typing import Any

from coreset_engine.core.errors import BadInput
from coreset_engine.pipeline.config import (
    PRESET,
    RunConfig,
    Settings,
    config_class,
    setting_groups,
)

# Stage -> earlier stages whose settings count as its own, since it is made from them alone.
MADE_FROM = {"dynamics": ("pseudo_labels", "dynamics")}


def with_named_settings(
    config: RunConfig, values: Mapping[str, Any], stages: Collection[str] | None = None
) -> RunConfig:
    """`config` with settings of its stages, each found by its name.

    Parameters
    ----------
    config : RunConfig
    values : mapping
        Name -> value, as a shell or a notebook gives it.
    stages : collection of str, optional
        Stages that are looked through; None = all.

    Raises
    ------
    BadInput
        A name that no stage or more than one has, or a value that its setting refuses.
    """
    for name, value in values.items():
        group = _only_owner(config, name, value, stages)
        if group in setting_groups(config):
            mapping = setting_groups(config)[group].name
            changed = Settings({**getattr(config, mapping), name: value})
            changes: dict[str, Any] = {mapping: changed}
        else:
            changes = {name: value}
        config = replace(config, **changes)
    return config


def owners_of(config: RunConfig, name: str, stages: Collection[str] | None = None) -> list[str]:
    """Groups of settings that have one called `name`; "run" for a setting of the run itself."""
    looked_through = _widened(stages)
    owners = []
    for about in fields(config):
        if about.metadata.get("flag") is None or "settings_of" in about.metadata:
            continue
        if about.name == name and _made_by(about, looked_through):
            owners.append("run")
    for group, about in setting_groups(config).items():
        if name in _names(config, about) and _made_by(about, looked_through):
            owners.append(group)
    return owners


def _only_owner(config: RunConfig, name: str, value: Any, stages: Collection[str] | None) -> str:
    owners = owners_of(config, name, stages)
    if len(owners) == 1:
        return owners[0]
    if not owners:
        known = sorted(about.name for about in fields(config))
        raise BadInput(
            f"{name!r} is an unknown setting of a run; known: {', '.join(known)}, and settings of "
            f"{', '.join(setting_groups(config))}."
        )
    which = " or ".join(f"--set {group}.{name}={value}" for group in owners)
    raise BadInput(
        f"{name}={value} is ambiguous; it could be a setting of "
        f"{' or of '.join(owners)}; say "
        f"{which}, in Python "
        f"{' or '.join(_in_python(config, group, name) for group in owners)}."
    )


def _in_python(config: RunConfig, group: str, name: str) -> str:
    return f"{setting_groups(config)[group].name}={{{name!r}: ...}}"


def _names(config: RunConfig, about: Field[Any]) -> set[str]:
    """Names of a group's settings, its preset included."""
    kind = config_class(config, about)
    names = {part.name for part in fields(kind) if part.metadata} - set(about.metadata["skip"])
    return names | ({PRESET} if getattr(kind, "PRESETS", None) else set())


def _widened(stages: Collection[str] | None) -> set[str] | None:
    if stages is None:
        return None
    return {one for stage in stages for one in MADE_FROM.get(stage, (stage,))}


def _made_by(about: Field[Any], stages: set[str] | None) -> bool:
    own = set(about.metadata.get("stages", ()))
    return bool(own) if stages is None else bool(own & stages)

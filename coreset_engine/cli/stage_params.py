"""`--param` of a setting that belongs to a stage of the run and not to the method.

`run SOURCE --method blindcs --param exponent=4` means `--set coverage.exponent=4`, and
`--param temi.preset=paper` means `--set temi.preset=paper`.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from coreset_engine.core.registry import METHODS, load, look_up
from coreset_engine.pipeline.config import RunConfig, setting_groups


def take_stage_params(config: RunConfig, values: dict[str, Any]) -> RunConfig:
    """The run's settings with those of `--param` that no method of the command has.

    Parameters
    ----------
    config : RunConfig
    values : dict
        The command's options, changed in place: what is taken leaves `param`. Nothing happens to
        a command without methods.

    Raises
    ------
    BadInput
        An unknown method, a name that several stages have, or a value that a setting refuses.
    """
    from coreset_engine.pipeline.named_settings import owners_of, with_named_settings

    items = values.get("param")
    named = values.get("methods") or values.get("method")
    if not items or not named:
        return config
    rows = [look_up(METHODS, name.strip(), "method") for name in named.split(",") if name.strip()]
    own = {part.name for row in rows for part in dataclasses.fields(load(row.config))}
    stages = {stage for row in rows for stage in row.stages}
    left = []
    for item in items:
        name, equals, value = item.partition("=")
        group, _, _ = name.partition(".")
        if equals and "." in name and group in setting_groups(config):
            config = config.with_set([item])
        elif equals and name not in own and owners_of(config, name, stages):
            config = with_named_settings(config, {name: value}, stages)
        else:
            left.append(item)
    values["param"] = left or None
    return config

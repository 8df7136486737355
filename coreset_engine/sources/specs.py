"""Specs as texts: which kind of source one names, and how options are written into it.

The command line and Home turn what a user chose into one spec, which is then all that
jobs, manifests and other machines need.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from coreset_engine.core.errors import BadInput
from coreset_engine.core.user_paths import user_path
from coreset_engine.sources import options
from coreset_engine.sources.open import SOURCES
from coreset_engine.sources.remote import containers
from coreset_engine.sources.vector_files import is_vector_table


def kind_of(spec: str) -> str:
    """Which row of TAKEN a spec belongs to."""
    text = spec.strip()
    name = text.partition(":")[0]
    if name in SOURCES:
        return name if name in options.TAKEN else "builtin"
    if options.is_vectors(text) or is_vector_table(text):
        return "vectors"
    if text.startswith("folder:") or not containers.is_container(text):
        return "folder"
    return "container"


def spec_with(spec: str, changes: Mapping[str, Any]) -> str:
    """`spec` with these options written into it; None and "" leave an option as it is.

    Raises
    ------
    BadInput
        For an option that this kind of source does not take.
    """
    chosen = {name: value for name, value in changes.items() if value not in (None, "", False)}
    if not chosen:
        return spec
    kind = kind_of(spec)
    unknown = sorted(set(chosen) - set(options.TAKEN[kind]))
    if unknown:
        name = unknown[0]
        raise options.not_taken(name, chosen[name], spec, options.TAKEN[kind])
    if kind in ("folder", "vectors"):
        path, old = options.unpacked(spec, f"{kind}:", kind)
        record = options.ReadOptions.of(kind, {**old, **chosen})
        return options.json_spec(
            f"{kind}:", Path(os.path.abspath(os.path.expanduser(path))), record
        )
    if kind == "fiftyone":
        return _fiftyone_with(spec, chosen)
    return _container_with(spec, chosen)


def _fiftyone_with(spec: str, options: Mapping[str, Any]) -> str:
    text = spec.removeprefix("fiftyone:")
    old = json.loads(text) if text.lstrip().startswith("{") else {"name": text}
    return "fiftyone:" + json.dumps({**old, **options}, sort_keys=True, ensure_ascii=False)


def _container_with(spec: str, options: Mapping[str, Any]) -> str:
    path, old = containers.split_options(spec, {})
    merged = {**old, **{name: _as_text(value) for name, value in options.items()}}
    return f"{path}#" + "&".join(f"{name}={quote(value)}" for name, value in sorted(merged.items()))


def _as_text(value: Any) -> str:
    several = isinstance(value, Sequence) and not isinstance(value, str)
    return ",".join(map(str, value)) if several else str(value)


def folder_of(spec: str) -> Path | None:
    """The folder of this machine whose files `spec` reads, None where there is none."""
    kind = kind_of(spec)
    if kind not in ("folder", "vectors"):
        return None
    path, read_options = options.unpacked(spec, f"{kind}:", kind)
    folder = read_options.get("images") if kind == "vectors" else path
    return None if folder is None else user_path(folder).absolute()


def refuse_inside(spec: str, out: Path) -> None:
    """Raise BadInput when `out` lies in the folder that `spec` reads.

    What is written there would be part of the source when it is opened again.
    """
    folder = folder_of(spec)
    if folder is None:
        return
    target = Path(os.path.realpath(user_path(out)))
    source = Path(os.path.realpath(folder))
    if target == source or source in target.parents:
        raise BadInput(
            f"--out {str(out)!r} lies inside the source {str(folder)!r}, and would change it; "
            "choose a folder outside it."
        )

"""Where a coreset can go from the Export page: one table, one form, one job; and what earlier
exports left where.

The writing is the engine's (`run.exporting`), in a job of its own, on the same path as the command
line.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import streamlit as st

from coreset_engine.core.types import Selection
from ui.components.escape import markdown as escaped
from ui.components.escape import plain
from ui.components.jobs import list_jobs, submit
from ui.selection import session_selection
from ui.state import session

# name -> (title, what arrives there, needs a folder to write into)
TARGETS: dict[str, tuple[str, str, bool]] = {
    "fiftyone": (
        "FiftyOne dataset",
        "Score fields, a coreset tag and saved views in FiftyOne's database; an existing "
        "dataset of that name is updated, nothing of it removed.",
        False,
    ),
    "fiftyone-disk": (
        "FiftyOne folder",
        "FiftyOne's on-disk format; needs no database and imports elsewhere.",
        True,
    ),
    "imagefolder": (
        "Image folder",
        "Links or copies of the kept images, one sub-folder per class.",
        True,
    ),
    "coco": ("COCO JSON", "The kept images and their labels as COCO annotations.", True),
    "label-studio": (
        "Label Studio tasks",
        "The kept images as labelling tasks, pseudo-labels as predictions.",
        True,
    ),
    "csv": ("CSV table", "Every image with all scores, one row each.", True),
    "pytorch": (
        "PyTorch subset",
        "Positions, weights and a snippet with Subset and a weighted loss.",
        True,
    ),
    "huggingface": (
        "Hugging Face dataset",
        "A datasets folder with images, labels and scores.",
        True,
    ),
    "webdataset": ("WebDataset shards", "Tar shards of the kept images.", True),
}


@dataclass(frozen=True)
class Planned:
    """The coreset of a set so large that only jobs choose it: method and number."""

    method: str
    count: int

    def __len__(self) -> int:
        return self.count


def file_name(view: session.RunView, selection: Selection | Planned) -> str:
    """A stem safe on every file system."""
    name = "".join(
        c if c.isalnum() and c.isascii() else "-" for c in session.short_name(view.spec)
    ).strip("-")
    return f"{name[:40] or 'selection'}-{selection.method}-{len(selection)}"


def targets(view: session.RunView, selection: Selection | Planned) -> None:
    """The table, the form of the chosen target, and finished exports."""
    offered = {name: row for name, row in TARGETS.items() if name in known_targets()}
    name = st.selectbox(
        "Target", list(offered), format_func=lambda key: offered[key][0], key="export:target"
    )
    title, text, needs_folder = offered[name]
    st.caption(text)
    if name == "fiftyone":
        database_line()
    with st.form("export:form", border=False):
        stem = file_name(view, selection)
        if needs_folder:
            where = st.text_input(
                "Folder on the machine this app runs on",
                key=f"export:where:{name}",
                value=str(session.home() / "exports" / f"{stem}-{name}"),
            )
        else:
            where = st.text_input(
                "Name of the dataset", value=stem, key=f"export:where:{name}", max_chars=100
            )
        options = fiftyone_options() if name.startswith("fiftyone") else {}
        pressed = st.form_submit_button(f"Send to {title}", type="primary")
    if pressed and not where.strip():
        st.error("No destination was given; type a folder or a name.")
    elif pressed:
        submit(
            "export",
            view.spec,
            {
                **view.job_params,
                **request(view),
                "target": name,
                "options": options,
                "out" if needs_folder else "name": where.strip(),
            },
        )
    finished(view)
    with st.expander("All targets"):
        st.dataframe(
            {
                "Target": [row[0] for row in offered.values()],
                "What arrives": [row[1] for row in offered.values()],
            },
            hide_index=True,
            width="stretch",
        )


def fiftyone_options() -> dict[str, str]:
    """The name under which the selection lives in the dataset."""
    called = st.text_input(
        "Name of the selection",
        value="main",
        key="export:selection",
        max_chars=60,
        help="Exporting under the same name updates its fields, tag and views; another name adds "
        "and touches nothing of the first.",
    )
    return {"selection": called.strip() or "main"}


def known_targets() -> set[str]:
    """Targets the engine can write to now."""
    from coreset_engine.export import targets as exporting

    return set(exporting.TARGETS)


def request(view: session.RunView) -> dict[str, Any]:
    """The session's selection as parameters another process can choose again."""
    method = session.get("method")
    return {
        "method": method,
        "prune_rate": session.get("prune_rate"),
        "params": session_selection.method_params(method),
        "fingerprint": view.dataset.fingerprint,
        "must_keep": list(session.get("must_keep") or ()),
        "never": list(session.get("never") or ()),
    }


def database_line() -> None:
    """Whether FiftyOne's database can be reached, and if not how to get one."""
    from coreset_engine.export import targets as exporting

    usable, sentence = exporting.database_state()
    (st.success if usable else st.warning)(escaped(sentence))


def finished(view: session.RunView) -> None:
    """Exports of this source, newest first, and where each lies."""
    done = [
        job
        for job in list_jobs()
        if job.kind == "export" and job.spec == view.spec and job.status == "done"
    ][:5]
    for job in done:
        place = (
            job.result.get("path")
            or job.result.get("name")
            or job.params.get("out")
            or job.params.get("name")
        )
        title = TARGETS.get(job.params.get("target"), (job.params.get("target"),))[0]
        st.markdown(f"✓ {escaped(title)}: {escaped(plain(place, 200))}")

"""The Export page's targets: one form that submits one job, and where earlier exports are.

The job writes through `coreset_engine.export`, like the command line.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import streamlit as st

from coreset_engine.core.types import Selection
from ui.components.escape import markdown as escaped
from ui.components.escape import plain
from ui.components.folded import folded
from ui.components.jobs import list_jobs, submit
from ui.selection import session_selection
from ui.state import session
from ui.views.export import PlannedSelection, file_name

if TYPE_CHECKING:
    from coreset_engine.jobs.manager import Job

# name -> (title, what arrives there, needs a folder to write into)
TARGETS: dict[str, tuple[str, str, bool]] = {
    "fiftyone": (
        "FiftyOne dataset",
        "Score fields, a coreset tag and saved views in FiftyOne's database. An existing dataset "
        "of this name is updated; nothing in it is deleted.",
        False,
    ),
    "fiftyone-disk": (
        "FiftyOne folder",
        "FiftyOne's on-disk format; needs no database and can be imported elsewhere.",
        True,
    ),
    "imagefolder": (
        "Image folder",
        "Hard links or copies of the selected images, one sub-folder per class.",
        True,
    ),
    "coco": ("COCO JSON", "The selected images and their labels as COCO annotations.", True),
    "label-studio": (
        "Label Studio tasks",
        "The selected images as labelling tasks, with pseudo-labels as predictions.",
        True,
    ),
    "csv": ("CSV table", "Every image with all scores, one row each.", True),
    "pytorch": (
        "PyTorch subset",
        "Indices, weights, and an example with Subset and a weighted loss.",
        True,
    ),
    "huggingface": (
        "Hugging Face dataset",
        "A dataset folder with images, labels and scores.",
        True,
    ),
    "webdataset": ("WebDataset shards", "Tar shards of the selected images.", True),
}


def show_targets(view: session.RunView, selection: Selection | PlannedSelection) -> None:
    """Draw the form of the chosen target, and finished exports."""
    available = {name: row for name, row in TARGETS.items() if name in known_targets()}
    name = st.selectbox(
        "Target", list(available), format_func=lambda key: available[key][0], key="export:target"
    )
    st.caption(available[name][1])
    if name == "fiftyone":
        show_database_state()
    _show_form(view, selection, name)
    show_finished(view)
    folded("All targets", _show_all, available, key="export:targets")


def _show_all(available: dict[str, tuple[str, str, bool]]) -> None:
    """What each target contains."""
    st.dataframe(
        {
            "Target": [row[0] for row in available.values()],
            "Contents": [row[1] for row in available.values()],
        },
        hide_index=True,
        width="stretch",
    )


def _show_form(view: session.RunView, selection: Selection | PlannedSelection, target: str) -> None:
    title, _, needs_folder = TARGETS[target]
    with st.form("export:form", border=False):
        where = _destination(target, needs_folder, file_name(view, selection))
        options = fiftyone_options() if target.startswith("fiftyone") else {}
        # A dataset is updated, never replaced; a folder only when asked.
        overwrite = not needs_folder or st.checkbox(
            "Replace another selection in this folder", key=f"export:overwrite:{target}"
        )
        pressed = st.form_submit_button(f"Export to {title}", type="primary")
    if not pressed:
        return
    if not where:
        st.error("No destination was given; type a folder or a name.")
        return
    params: dict[str, Any] = {
        "target": target,
        "options": options,
        "out" if needs_folder else "name": where,
    }
    if not overwrite:
        params["overwrite"] = False
    submit("export", view.spec, {**view.job_params, **selection_params(view), **params})


def _destination(target: str, needs_folder: bool, stem: str) -> str:
    key = f"export:where:{target}"
    if needs_folder:
        folder = str(session.home() / "exports" / f"{stem}-{target}")
        return st.text_input(
            "Folder on the machine this app runs on", key=key, value=folder
        ).strip()
    return st.text_input("Name of the dataset", value=stem, key=key, max_chars=100).strip()


def fiftyone_options() -> dict[str, str]:
    """The name under which the selection is stored in the dataset."""
    name = st.text_input(
        "Name of the selection",
        value="main",
        key="export:selection",
        max_chars=60,
        help="Exporting again under this name updates its fields, tag and views. Another name adds "
        "a second selection and leaves the first unchanged.",
    )
    return {"selection": name.strip() or "main"}


def known_targets() -> set[str]:
    """Targets the engine can write."""
    from coreset_engine.export import targets

    return set(targets.TARGETS)


def selection_params(view: session.RunView) -> dict[str, Any]:
    """The session's selection as job parameters from which another process repeats it."""
    request = session_selection.settled(view, session_selection.current_request())
    return {**request.as_json(), "fingerprint": view.dataset.fingerprint}


def show_database_state() -> None:
    """Say whether FiftyOne's database can be reached, and if not how to get one."""
    from coreset_engine.export import targets

    usable, sentence = targets.database_state()
    if usable:
        st.success(escaped(sentence))
    else:
        st.warning(escaped(sentence))


def show_finished(view: session.RunView) -> None:
    """List the newest exports of this source, and where each is."""
    done = [
        job
        for job in list_jobs()
        if job.kind == "export" and job.spec == view.spec and job.status == "done"
    ]
    for job in done[:5]:
        title = TARGETS.get(job.params.get("target"), (job.params.get("target"),))[0]
        st.markdown(f"✓ {escaped(title)}: {escaped(plain(_written_to(job), 200))}")
        if job.result.get("note"):
            st.caption(escaped(plain(job.result["note"], 400)))
        if job.result.get("steps"):
            with st.expander("Next steps"):
                lines = [f"1. {escaped(plain(step, 400))}" for step in job.result["steps"]]
                st.markdown("\n".join(lines))


def _written_to(job: Job) -> str:
    """The folder or dataset name that an export job wrote."""
    for record in (job.result, job.params):
        for name in ("path", "name", "out"):
            if record.get(name):
                return str(record[name])
    return ""

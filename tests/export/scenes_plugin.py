"""What the plugin tests do inside a process with a real FiftyOne."""

from __future__ import annotations

from pathlib import Path

import numpy as np

URI = "@coreset-explorer/coreset/"


def install_beside(folder):
    """Another plugin is there first; ours is linked, and FiftyOne lists and loads both."""
    import fiftyone as fo
    import fiftyone.plugins as plugins
    from fiftyone.operators.registry import OperatorRegistry

    from coreset_engine.export.fiftyone import plugin_backend

    other = Path(fo.config.plugins_dir) / "theirs"
    other.mkdir(parents=True, exist_ok=True)
    (other / "fiftyone.yml").write_text("name: theirs\nversion: 1\n")
    link = plugin_backend.install()
    again = plugin_backend.install()
    registry = OperatorRegistry(enabled=True)
    operators = [
        operator.uri for operator in registry.list_operators() if operator.uri.startswith(URI)
    ]
    listed = sorted(plugin.name for plugin in plugins.list_plugins(builtin=False))
    return dict(
        link=str(link),
        again=str(again),
        listed=listed,
        errors=registry.list_errors(),
        operators=sorted(operators),
    )


def dataset(name, n=120):
    """Three blobs of vectors, no picture needed."""
    import fiftyone as fo

    rng = np.random.default_rng(0)
    made = fo.Dataset(name)
    made.add_samples(
        [
            fo.Sample(filepath=f"/absent/{i}.png", vec=rng.normal(6 * (i % 3), 1, 16))
            for i in range(n)
        ],
        progress=False,
    )


def among(name, how, params):
    """Select among the first 40 samples, as a view or as selected samples; what came of it."""
    import fiftyone as fo
    import fiftyone.operators as foo

    data = fo.load_dataset(name)
    ids = data.values("id")[:40]
    ctx = dict(dataset=data, params=params | {"among": how})
    ctx |= dict(view=data.select(ids)) if how == "view" else dict(selected=ids)
    result = foo.execute_operator(URI + "select_coreset", ctx=ctx).result
    data.reload()
    tag = f"coreset:{params['selection']}"
    kept = data.match_tags(tag).values("id")
    scored = data.exists(f"coreset_{params['selection']}_score").values("id")
    views = [view for view in data.list_saved_views() if view.startswith("coreset scope")]
    return dict(
        said=result["said"],
        kept=len(kept),
        inside=set(kept) <= set(ids),
        scored=len(scored),
        views=views,
        source=_source(data, params["selection"]),
    )


def _source(data, selection):
    key = f"coreset_{selection}"
    runs = data.list_runs()
    return data.get_run_info(key).config.manifest["source"] if key in runs else ""


def foreign_scope(name, selection):
    """A saved view of somebody else has the name that ours would get."""
    import fiftyone as fo

    data = fo.load_dataset(name)
    data.save_view(f"coreset scope: {selection}", data.limit(3), description="mine")


def run(operator, name, params, delegate=False):
    """Execute an operator the way FiftyOne does; its result, what the App is told to do, and what
    is in the dataset."""
    import fiftyone as fo
    import fiftyone.operators as foo

    data = fo.load_dataset(name)
    ctx = dict(dataset=data, params=params)
    if delegate:
        from fiftyone.operators.delegated import DelegatedOperationService

        foo.execute_operator(URI + operator, ctx=ctx, request_delegation=True)
        service = DelegatedOperationService()
        service.execute_queued_operations(dataset_name=name, log=False)
        done = service.list_operations(dataset_name=name)[-1]
        answer = dict(state=str(done.run_state), progress=getattr(done.status, "label", ""))
        result = (done.result.result or {}) | answer
    else:
        result = foo.execute_operator(URI + operator, ctx=ctx).result
    data.reload()
    fields = [field for field in data.get_field_schema() if field.startswith("coreset_")]
    filled = {field: sum(value is not None for value in data.values(field)) for field in fields}
    return dict(
        result=result,
        filled=filled,
        tags=data.count_sample_tags(),
        views=data.list_saved_views(),
        brain=data.list_brain_runs(),
        runs=data.list_runs(),
    )


def panel(name):
    """What the panel would show before and after its slider is moved."""
    from coreset_engine.core.errors import CoresetError
    from coreset_engine.export.fiftyone import plugin_backend as engine

    found = {}
    try:
        engine.preview(name, method="elfs", prune_rate=0.9)
    except CoresetError as error:
        found["before"] = str(error)
    return found


def previews(name):
    from coreset_engine.export.fiftyone import plugin_backend as engine

    return [engine.preview(name, method="elfs", prune_rate=rate, beta=0.1) for rate in (0.5, 0.9)]


def disagreement(name):
    import fiftyone as fo

    from coreset_engine.core.errors import CoresetError
    from coreset_engine.export.fiftyone import plugin_backend as engine

    data = fo.load_dataset(name)
    answer = engine.compare(data, "main", "second")
    tags = dict(zip(data.values("id"), map(set, data.values("tags")), strict=True))
    wanted = [
        key for key, tag in tags.items() if ("coreset:main" in tag) != ("coreset:second" in tag)
    ]
    try:
        engine.compare(data, "main", "nobody")
    except CoresetError as error:
        return dict(told=answer, wanted=sorted(wanted), refused=str(error))
    return {}


def grouped(name, n=30):
    """Groups of a left and a right image, with vectors; three samples of each slice labelled by
    somebody. The ids of those."""
    import fiftyone as fo

    rng = np.random.default_rng(0)
    made = fo.Dataset(name)
    made.add_group_field("group", default="left")
    samples = []
    for i in range(n):
        group = fo.Group()
        for part in ("left", "right"):
            label = fo.Classification(label=f"kind {i % 2}") if i < 3 else None
            vector = rng.normal(6 * (i % 2), 1, 8)
            path = f"/absent/{part}{i}.png"
            element = group.element(part)
            samples.append(fo.Sample(filepath=path, vec=vector, group=element, mine=label))
    made.add_samples(samples, progress=False)
    every = made.select_group_slices(media_type="image")
    return every.exists("mine").values("id")


def kept_in(name, tag):
    import fiftyone as fo

    every = fo.load_dataset(name).select_group_slices(media_type="image")
    return every.match_tags(tag).values("id")


def refused_labels(name, field):
    """Why labels of this field cannot be taken."""
    from coreset_engine.core.errors import BadInput
    from coreset_engine.export.fiftyone import plugin_backend as engine

    try:
        engine.take_labels(name, embeddings="vec", field=field)
    except BadInput as error:
        return str(error)
    return ""


def settings_written(name, params):
    """Select with these settings through the operator; the manifest that the dataset then holds."""
    import fiftyone as fo
    import fiftyone.operators as foo

    data = fo.load_dataset(name)
    message = foo.execute_operator(URI + "select_coreset", ctx=dict(dataset=data, params=params))
    data.reload()
    runs = [data.get_run_info(key) for key in data.list_runs() if key.startswith("coreset_")]
    if not runs:
        return dict(said=message.result["said"])
    manifest = max(runs, key=lambda one: one.timestamp).config.manifest
    return manifest | dict(said=message.result["said"])

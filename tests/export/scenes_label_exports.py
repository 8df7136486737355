"""Labels, suggestions, suspects and predictions in a real FiftyOne, and what comes back of them."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import synthetic_bundles

from coreset_engine.core.types import silent
from coreset_engine.export.fiftyone import live
from coreset_engine.sources.fiftyone_labels import decision_rows, prediction_table
from coreset_engine.sources.label_import import import_labels
from coreset_engine.sources.open import open_source
from coreset_engine.sources.predictions import read_predictions


def there_and_back(folder, source, name):
    """Export a labelled bundle; then tag, relabel and predict in FiftyOne; all read back."""
    import fiftyone as fo

    bundle = synthetic_bundles.make_bundle(Path(folder), source)
    n = len(bundle)
    columns = dict(
        given_label=["cat", "dog"] + [""] * (n - 2),
        suggested_label=["cat", "dog"] * (n // 2),
        suggested_confidence=[0.9] * n,
        label_error=[0.8, 0.95] + [float("nan")] * (n - 2),
        label_decision=["", "confirm"] + [""] * (n - 2),
        round=[0, 0] + [-1] * (n - 2),
    )
    bundle = dataclasses.replace(bundle, table=bundle.table.assign(**columns))
    live.write_fiftyone_dataset(bundle, name, silent)
    dataset = fo.load_dataset(name)
    view = dataset.load_saved_view("coreset: probable label errors")
    suspects = view.values("coreset_id")
    given = dict(zip(dataset.values("coreset_id"), dataset.values("coreset_given_label.label")))
    guesses = dataset.values("coreset_suggested_label.confidence")
    message = dataset.values("coreset_label_decision")

    samples = list(view)
    samples[0].tags.append("confirm-label")
    samples[1].tags.append("ignore-label")
    samples[0]["relabelled"] = fo.Classification(label="owl")
    for sample in samples[:2]:
        sample.save()
    for number, sample in enumerate(dataset):
        sample["mine"] = fo.Classification(label="a", confidence=0.6, logits=[2.0, 0.5 * number])
        sample.save()
    dataset.default_classes = ["a", "b"]
    dataset.save()
    source_again = open_source(source)
    predictions = read_predictions(f"fiftyone:{name}/mine", source_again)
    back = import_labels(f"fiftyone:{name}/relabelled").match(source_again.ids, source_again.paths)
    return dict(
        suspects=suspects,
        given=given,
        confidence=sorted(set(guesses)),
        said=message,
        decisions=decision_rows(name),
        relabelled=back.labels,
        kind=predictions.kind,
        classes=list(predictions.classes),
        missing=predictions.missing,
        rows=len(prediction_table(f"{name}/mine")),
    )


def refusals(name):
    """What is said of a dataset that is not there, and of a field that is none."""
    import fiftyone as fo

    from coreset_engine.core.errors import BadInput

    fo.Dataset(f"{name} bare", persistent=True)
    message = []
    for call in (
        lambda: decision_rows("nobody"),
        lambda: decision_rows(f"{name} bare"),
        lambda: prediction_table("nobody/field"),
        lambda: prediction_table(f"{name} bare/field"),
    ):
        try:
            call()
        except BadInput as error:
            message.append(str(error))
    return message

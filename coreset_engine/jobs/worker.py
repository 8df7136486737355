"""A job's child process: the same pipeline as the shell, with progress in the job's state file.

Heavy kinds take turns, oldest first: one at a time per workspace, so that two never fight for the
GPU or the memory.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from coreset_engine.artifacts import filesystem, internal_errors
from coreset_engine.artifacts.store import Store
from coreset_engine.core.errors import Cancelled, CoresetError
from coreset_engine.jobs import manager
from coreset_engine.pipeline import sampled_run
from coreset_engine.pipeline.config import RunConfig
from coreset_engine.pipeline.executor import make_executor
from coreset_engine.pipeline.run import STAGES, Run

EVERY_S = 0.3
LIGHT = ("export", "round_estimate")


class Reporter:
    """progress(stage, done, total, unit) -> state.json, at most every 0.3 s.

    Raises Cancelled when asked to stop.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.last = 0.0
        self.stage = ("", 0)
        self.began = 0.0
        self.base = 0
        self.result: dict[str, Any] = {}
        self.state: dict[str, Any] = dict(stage="", done=0, total=0, unit="")

    def __call__(self, stage: str, done: int, total: int, unit: str = "") -> None:
        now = time.monotonic()
        if (stage, total) != self.stage:  # a stage may count first columns, then samples
            self.stage = (stage, total)
            self.began = now
            self.base = done
        elif now - self.last < EVERY_S and done < total:
            return
        self.last = now
        self.heed()
        spent = now - self.began
        moved = done - self.base
        rate = moved / spent if spent > 0.5 and moved > 0 else None
        eta = (total - done) / rate if rate else None
        self.state = dict(
            stage=stage, done=int(done), total=int(total), unit=unit, rate=rate, eta_s=eta
        )
        self.write("running")

    def heed(self) -> None:
        """Raise Cancelled when the user asked to stop."""
        if (self.folder / "cancel").exists():
            raise Cancelled("cancelled.")

    def write(self, status: str, message: str = "") -> None:
        """A full disk costs the picture of the progress, never the work itself."""
        try:
            filesystem.write_json(
                self.folder / "state.json",
                {**self.state, "status": status, "message": message, "result": self.result},
                sync=status in manager.ENDED,
            )
        except OSError as error:
            print(f"state not written: {status} {message} ({error.strerror})", flush=True)


def work(name: str, home: Path | str) -> int:
    """Do job `name`; the exit code. Every way out is written to its state."""
    folder = _arrived(manager._folder(home, name))
    if folder is None:
        return 1
    manager.sign_in(folder)
    request = filesystem.read_json(folder / "request.json") or {}
    report = Reporter(folder)
    try:
        with _turn(name, home, request["kind"], report):
            report.write("running")
            KINDS[request["kind"]](request["spec"], dict(request["params"]), Store(home), report)
    except CoresetError as error:
        report.write("cancelled" if isinstance(error, Cancelled) else "failed", str(error))
        return error.exit_code
    except MemoryError:
        report.write(
            "failed",
            f"Out of memory in {report.stage or 'this work'}; close other programs or use a "
            "machine with more, then resume: finished work is kept.",
        )
        return 1
    except Exception as internal:  # noqa: BLE001 - report any error to the page
        message = internal_errors.record(internal, home)
        report.write("failed", message[0].upper() + message[1:])
        return 1
    report.write("done")
    return 0


def _arrived(folder: Path, within: float = 10.0) -> Path | None:
    """The job's folder once the parent has given it its name; None when the parent died before."""
    end = time.monotonic() + within
    while not (folder / "request.json").is_file():
        if time.monotonic() > end:
            return None
        time.sleep(0.02)
    return folder


@contextmanager
def _turn(name: str, home: Path | str, kind: str, report: Reporter) -> Iterator[None]:
    """Wait until no older heavy job of the workspace waits or runs; hold the turn inside."""
    if kind in LIGHT:
        yield
        return
    report.write("queued", "")
    while any(
        manager.read(other, home).kind not in LIGHT for other in manager.ahead_of(name, home)
    ):
        report.heed()
        time.sleep(EVERY_S)
    with filesystem.lock(Path(home) / "locks" / "turn", report.heed):
        yield


def _open(
    spec: str, params: dict[str, Any], store: Store, report: Reporter
) -> tuple[Run, dict[str, Any]]:
    """The run of a job, and its other parameters."""
    config, rest = RunConfig.from_job(params)
    executor = make_executor(rest.pop("cluster", None))

    def tell(done: int, total: int, unit: str = "") -> None:
        report("opening", done, total, unit)

    dataset = executor.open_source(spec, tell)
    return Run(dataset, config, executor, store=store, progress=report), rest


class JobFunction(Protocol):
    """What a kind of job does; its row in KINDS names it."""

    def __call__(
        self, spec: str, params: dict[str, Any], store: Store, report: Reporter, /
    ) -> None:
        """Do the job in this process.

        Parameters
        ----------
        spec : str
            The source.
        params : dict
            From the request, JSON-able: a record of run settings under "run", the address of a
            "cluster", and what the kind itself takes. May be changed.
        store : Store
            Where artefacts are found and left.
        report : Reporter
            Called as (stage, done, total, unit); `report.result` is set to what the page and
            `jobs.manager.read` show, JSON-able.

        Raises
        ------
        Cancelled
            From `report`, when the user asked to stop.
        CoresetError
            Its message is shown; anything else is recorded as an internal error.
        """


def prepare(spec: str, params: dict[str, Any], store: Store, report: Reporter) -> None:
    """Every stage that is missing, in order.

    Parameters
    ----------
    spec, store, report
        As in `JobFunction`; leaves nothing but artefacts.
    params : dict
        A record of run settings under "run", and "cluster".
    """
    run, params = _open(spec, params, store, report)
    large = sampled_run.too_many(len(run.dataset))
    for stage in STAGES:
        report(stage, 0, 1, "")
        sampled_run.prepare(run) if large and stage == "map" else getattr(run, stage)


def coverage_grid(spec: str, params: dict[str, Any], store: Store, report: Reporter) -> None:
    """Coverage scores for several numbers of redundancy neighbours, from one sweep.

    Parameters
    ----------
    spec, store, report
        As in `JobFunction`; result: n_neighbours.
    params : dict
        "n_neighbours": alphas >= 1, default those of the slider.
    """
    wanted = params.pop("n_neighbours", None)
    run, params = _open(spec, params, store, report)
    report.result = dict(n_neighbours=list(run.coverage_grid(wanted)))


def beta(spec: str, params: dict[str, Any], store: Store, report: Reporter) -> None:
    """Search the hard cut with the best pseudo-label accuracy (ELFS 3.4).

    Parameters
    ----------
    spec, store, report
        As in `JobFunction`; result: what `beta_stage.search` returns.
    params : dict
        Fields of `BetaConfig`, and "oracle": whether the curve is measured on true labels too.
    """
    from coreset_engine.evaluation import beta_stage

    truth = bool(params.pop("oracle", False))
    run, params = _open(spec, params, store, report)

    def tell(done: int, total: int, unit: str = "") -> None:
        report("beta", done, total, unit)

    result = report.result = beta_stage.search(run, progress=tell, **{"proxy": run.proxy} | params)
    if truth:  # only now, and only to show beside what was chosen without it (figure 6b)
        report.result = result | dict(oracle=beta_stage.oracle(run, result, progress=tell))


def forecast(spec: str, params: dict[str, Any], store: Store, report: Reporter) -> None:
    """What each method would gain over random, by pruning rate; partial results as they come.

    Parameters
    ----------
    spec, store, report
        As in `JobFunction`; result: the forecast as JSON.
    params : dict
        Keywords of `forecast_stage.forecast_steps`: methods, rates.
    """
    from coreset_engine.pipeline.forecast_stage import forecast_steps

    run, params = _open(spec, params, store, report)

    def tell(done: int, total: int, unit: str = "") -> None:
        report("forecast", done, total, unit)

    for step in forecast_steps(run, progress=tell, **params):
        report.result = step.as_json()


def evaluate(spec: str, params: dict[str, Any], store: Store, report: Reporter) -> None:
    """Train on each coreset and on random at several rates and seeds; rows are reported live.

    Parameters
    ----------
    spec, store, report
        As in `JobFunction`; result: rows, full_accuracy in [0, 1].
    params : dict
        Keywords of `evaluation.experiment.evaluate`.
    """
    from coreset_engine.evaluation.experiment import evaluate as measure

    run, params = _open(spec, params, store, report)

    def report_rows(rows: list[dict[str, Any]], full: float | None, total: int) -> None:
        report.result = dict(rows=rows, full_accuracy=full)
        report("evaluate", len(rows), total, "trainings")

    report.result = measure(run, on_rows=report_rows, **params)


def inclusion(spec: str, params: dict[str, Any], store: Store, report: Reporter) -> None:
    """How often each image is kept over seeds and encoders.

    Parameters
    ----------
    spec, store, report
        As in `JobFunction`; result: draws, core, never, agreement in [0, 1].
    params : dict
        Keywords of `evaluation.inclusion.inclusion`, the method's own under "method_params".
    """
    from coreset_engine.evaluation.inclusion import inclusion as measure

    run, params = _open(spec, params, store, report)
    own = params.pop("method_params", {})
    result = measure(
        run, on_draw=lambda done, total: report("inclusion", done, total, "draws"), **params, **own
    )
    report.result = dict(
        draws=result.draws, core=result.core, never=result.never, agreement=result.agreement
    )


def export(spec: str, params: dict[str, Any], store: Store, report: Reporter) -> None:
    """A selection to a target (see export's table); with `folder`, the one that lies there.

    Parameters
    ----------
    spec, store, report
        As in `JobFunction`; result: what the target returns.
    params : dict
        Keywords of `export.targets.export`, or "folder" and those of `export_folder`.
    """
    from coreset_engine.export.targets import export as send
    from coreset_engine.export.targets import export_folder

    def tell(done: int, total: int, unit: str = "") -> None:
        report("export", done, total, unit)

    if params.get("folder"):
        params.pop("run", None)
        report.result = export_folder(params.pop("folder"), store=store, progress=tell, **params)
        return
    run, params = _open(spec, params, store, report)
    report.result = send(run, progress=tell, **params)


def next_round(spec: str, params: dict[str, Any], store: Store, report: Reporter) -> None:
    """The images to label next, as a folder.

    Parameters
    ----------
    spec, store, report
        As in `JobFunction`; result: the summary and `out`.
    params : dict
        "count" >= 1, "out": the folder, "request": a `SelectionRequest` as JSON, or none.
    """
    from coreset_engine.pipeline.next_round import next_round as choose
    from coreset_engine.selection.request import SelectionRequest

    run, params = _open(spec, params, store, report)
    request = SelectionRequest.from_json(params["request"]) if params.get("request") else None
    made = choose(run, params["count"], request=request, out=params["out"])
    report.result = dict(made.summary(), out=params["out"])


def label_errors(spec: str, params: dict[str, Any], store: Store, report: Reporter) -> None:
    """Probable mistakes among given labels.

    Parameters
    ----------
    spec, store, report
        As in `JobFunction`; result: count, suspected.
    params : dict
        Run settings alone.
    """
    from coreset_engine.evaluation.label_errors import label_errors as find
    from coreset_engine.pipeline.imported_labels import with_known_labels

    run, params = _open(spec, params, store, report)

    def tell(done: int, total: int, unit: str = "") -> None:
        report("label errors", done, total, unit)

    errors = find(with_known_labels(run), progress=tell)
    report.result = dict(count=len(errors), suspected=int(errors.suspected.sum()))


def round_estimate(spec: str, params: dict[str, Any], store: Store, report: Reporter) -> None:
    """What the labels so far are worth, and what more would bring.

    Parameters
    ----------
    spec, store, report
        As in `JobFunction`; result: the estimate as JSON.
    params : dict
        Keywords of `evaluation.round_estimate.estimate_rounds`.
    """
    from coreset_engine.evaluation.round_estimate import estimate_rounds

    run, params = _open(spec, params, store, report)

    def tell(done: int, total: int, unit: str = "") -> None:
        report("estimate", done, total, unit)

    estimate = estimate_rounds(run, progress=tell, **params)
    report.result = estimate.as_json()


def totals(spec: str, params: dict[str, Any], store: Store, report: Reporter) -> None:
    """The table from which a set too large to draw is counted, for a method and its knobs.

    Parameters
    ----------
    spec, store, report
        As in `JobFunction`; result: images.
    params : dict
        "method": a row of METHODS, "params": its parameters.
    """
    run, params = _open(spec, params, store, report)
    report("totals", 0, 1, "")
    report.result = dict(
        images=sampled_run.count_all(run, params["method"], params.get("params")).n
    )


def clean(spec: str, params: dict[str, Any], store: Store, report: Reporter) -> None:
    """What the findings are computed from, so that a page only compares numbers.

    Parameters
    ----------
    spec, store, report
        As in `JobFunction`; result: counts by finding.
    params : dict
        Run settings alone.
    """
    from coreset_engine.pipeline.clean import clean as look

    run, _ = _open(spec, params, store, report)
    report.result = dict(counts=look(run).counts())


def compare_sources(spec: str, params: dict[str, Any], store: Store, report: Reporter) -> None:
    """What this source and another share, where they differ, and one map of both.

    Parameters
    ----------
    spec, store, report
        As in `JobFunction`; result: other, leaks, leaks_of_a.
    params : dict
        "other": spec of the other source.
    """
    from coreset_engine.pipeline.beyond import run_of
    from coreset_engine.pipeline.comparison_stage import comparison

    other = params.pop("other")
    run, _ = _open(spec, params, store, report)
    made = comparison(run, run_of(other, run)).comparison
    report.result = dict(other=other, leaks=len(made.leakage), leaks_of_a=len(made.leakage_of_a))


def update(spec: str, params: dict[str, Any], store: Store, report: Reporter) -> None:
    """The next images of a source that changed, given an earlier selection's.

    Parameters
    ----------
    spec, store, report
        As in `JobFunction`; result: what changed, kept and next ids.
    params : dict
        "selection": folder of the earlier one, "more" >= 0 images, "out": the new folder.
    """
    from coreset_engine.evaluation.update import update_run

    run, params = _open(spec, params, store, report)
    grown = update_run(run, params["selection"], more=params["more"], out=params["out"])
    report.result = grown.record() | dict(
        fingerprint=grown.run.dataset.fingerprint,
        kept_ids=list(grown.kept),
        next_ids=list(grown.next_ids),
    )


KINDS: dict[str, JobFunction] = dict(
    prepare=prepare,
    coverage_grid=coverage_grid,
    beta=beta,
    forecast=forecast,
    evaluate=evaluate,
    inclusion=inclusion,
    export=export,
    next_round=next_round,
    label_errors=label_errors,
    round_estimate=round_estimate,
    totals=totals,
    clean=clean,
    compare_sources=compare_sources,
    update=update,
)

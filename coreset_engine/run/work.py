"""What a job's child does: the same pipeline as the shell, with its progress written to the job's state file."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from coreset_engine.errors import Cancelled, CoresetError
from coreset_engine.run import jobs
from coreset_engine.run.pipeline import STAGES, Run
from coreset_engine.run.store import Store

EVERY_S = 0.3


class Reporter:
    """progress(stage, done, total, unit) -> state.json, at most every 0.3 s; raises Cancelled when asked to stop."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.last, self.stage, self.began, self.base = folder, 0.0, "", 0.0, 0
        self.result: dict[str, Any] = {}
        self.state: dict[str, Any] = dict(stage="", done=0, total=0, unit="")

    def __call__(self, stage: str, done: int, total: int, unit: str = "") -> None:
        now = time.monotonic()
        if stage != self.stage:
            self.stage, self.began, self.base = stage, now, done
        elif now - self.last < EVERY_S and done < total:
            return
        self.last = now
        if (self.folder / "cancel").exists():
            raise Cancelled("cancelled.")
        spent, moved = now - self.began, done - self.base
        rate = moved / spent if spent > 0.5 and moved > 0 else None
        eta = (total - done) / rate if rate else None
        self.state = dict(stage=stage, done=int(done), total=int(total), unit=unit, rate=rate, eta_s=eta)
        self.write("running")

    def write(self, status: str, message: str = "") -> None:
        jobs._put(self.folder / "state.json", {**self.state, "status": status, "message": message,
                                               "result": self.result})


def work(name: str, home: Path | str) -> int:
    """Do job `name`; the exit code. Every way out is written to its state."""
    folder = jobs._folder(home, name)
    request = jobs._get(folder / "request.json")
    report = Reporter(folder)
    report.write("running")
    try:
        KINDS[request["kind"]](request["spec"], dict(request["params"]), Store(home), report)
    except CoresetError as error:
        report.write("cancelled" if isinstance(error, Cancelled) else "failed", str(error))
        return error.exit_code
    except Exception as fault:  # noqa: BLE001 - the child's last door: the page must hear of every end
        import traceback

        traceback.print_exc()
        report.write("failed", f"A fault of ours ({type(fault).__name__}); the job's log has the details.")
        return 1
    report.write("done")
    return 0


def _open(spec: str, params: dict[str, Any], store: Store, report: Reporter) -> Run:
    from coreset_engine.sources.opening import open_source

    named = ("encoder", "seed", "n_clusters", "n_samples", "weights")
    settings = {key: params.pop(key) for key in named if key in params}
    return Run(open_source(spec), store=store, progress=report, **settings)


def prepare(spec: str, params: dict[str, Any], store: Store, report: Reporter) -> None:
    """Every stage that is missing, in order."""
    run = _open(spec, params, store, report)
    for stage in STAGES:
        report(stage, 0, 1, "")
        getattr(run, stage)


def coverage_grid(spec: str, params: dict[str, Any], store: Store, report: Reporter) -> None:
    """Coverage scores for several numbers of redundancy neighbours, from one sweep."""
    wanted = params.pop("n_neighbours", None)
    run = _open(spec, params, store, report)
    report.result = dict(n_neighbours=list(run.coverage_grid(wanted)))


def beta(spec: str, params: dict[str, Any], store: Store, report: Reporter) -> None:
    """The hard cut that serves pseudo-label accuracy best at each asked pruning rate (ELFS 3.4)."""
    from coreset_engine.difficulty.beta_search import search_beta
    from coreset_engine.selection.arithmetic import double_end

    run = _open(spec, params, store, report)
    found = search_beta(run.vectors, run.pseudo_labels.labels, run.dynamics.aum, choose=double_end, seed=run.seed,
                        progress=lambda done, total, unit="": report("beta", done, total, unit), **params)
    report.result = found


def evaluate(spec: str, params: dict[str, Any], store: Store, report: Reporter) -> None:
    """Train on each coreset and on random, at several rates and seeds; rows appear in the result as they come."""
    from coreset_engine.run.evaluating import evaluate as measure

    run = _open(spec, params, store, report)

    def found(rows: list[dict[str, Any]], full: float | None, total: int) -> None:
        report.result = dict(rows=rows, full_accuracy=full)
        report("evaluate", len(rows), total, "trainings")

    measure(run, on_rows=found, **params)


def export(spec: str, params: dict[str, Any], store: Store, report: Reporter) -> None:
    """A selection to a target (see export's table)."""
    from coreset_engine.run.exporting import export as send

    run = _open(spec, params, store, report)
    report.result = send(run, progress=lambda done, total, unit="": report("export", done, total, unit), **params)


KINDS: dict[str, Callable[[str, dict[str, Any], Store, Reporter], None]] = dict(
    prepare=prepare, coverage_grid=coverage_grid, beta=beta, evaluate=evaluate, export=export)

"""One private MongoDB for every test that meets a real FiftyOne, and a process in which that
FiftyOne runs."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
import azurite  # noqa: E402 - beside this file
from fiftyone_worker import Worker, delete_every_dataset  # noqa: E402

from coreset_engine.core.limits import override  # noqa: E402
from coreset_engine.export.fiftyone.mongodb import ensure, private_server  # noqa: E402


@pytest.fixture
def set_limits():
    """set_limits(sampled_above=100) changes fields of core.limits until the test ends."""
    with ExitStack() as stack:
        yield lambda **changes: stack.enter_context(override(**changes))


@pytest.fixture(scope="session")
def mongo(tmp_path_factory):
    """URI of a mongod of this session only, stopped at its end."""
    ensure()
    with private_server(tmp_path_factory.mktemp("mongo")) as uri:
        yield uri


@pytest.fixture(scope="session")
def fiftyone_process(mongo, tmp_path_factory):
    """The process with a real FiftyOne that every module of this session shares."""
    worker = Worker(mongo, tmp_path_factory.mktemp("fiftyone"))
    yield worker
    worker.stop()


@pytest.fixture(scope="module")
def fiftyone(fiftyone_process):
    """`fiftyone(function, *args)` runs a function of a test module in a process with a real
    FiftyOne, on a database that holds no dataset when the module begins."""
    fiftyone_process.call(delete_every_dataset)
    return fiftyone_process.call


# What makes a test one of the integration tier: it is in one of these folders or files, or it asks
# for one of these fixtures. The folders run whole stages, pages, servers and clusters; the files
# start processes or take ten seconds and more.
INTEGRATION_FOLDERS = {
    *("browser", "distributed", "docs", "embedding", "evaluation", "export", "pages", "pipeline"),
    "robustness",
}
INTEGRATION_FILES = {
    "artifacts/test_workspace.py",
    "cli/test_bad_input.py",
    "cli/test_clean_command.py",
    "cli/test_curate.py",
    "cli/test_interrupt.py",
    "clustering/test_temi_at_scale.py",
    "clustering/test_temi_robust.py",
    "clustering/test_unpleasant_sets.py",
    "coverage_scores/test_draws.py",
    "coverage_scores/test_groups.py",
    "coverage_scores/test_oracle.py",
    "jobs/test_jobs.py",
    "selection/test_canonical.py",
    "selection/test_constraints.py",
    "test_public_surface.py",
}
INTEGRATION_FIXTURES = {"mongo", "fiftyone", "browser", "s3", "gs", "az", "three_nodes"}


@pytest.hookimpl(tryfirst=True)
def pytest_itemcollected(item):
    """Mark what needs a browser, a database, a server or a cluster, so that `-m` can tell it."""
    if is_integration(item.path) or INTEGRATION_FIXTURES & set(item.fixturenames):
        item.add_marker(pytest.mark.integration)


def is_integration(path: Path) -> bool:
    """Whether a folder or file of tests is of the integration tier as a whole."""
    within = path.relative_to(Path(__file__).parent)
    folder = within.parts[0] if within.parts else ""
    return folder in INTEGRATION_FOLDERS or within.as_posix() in INTEGRATION_FILES


def pytest_ignore_collect(collection_path, config):
    """Do not even import the integration tier where it is left out: that takes 20 s."""
    if "not integration" in config.option.markexpr and is_integration(collection_path):
        return True
    return None


def pytest_collection_modifyitems(config, items):
    """Leave out what needs a CUDA GPU where torch sees none, or Azure's emulator where it could not
    be installed, and count it as deselected, not as skipped."""
    for mark, there in (("gpu", sees_a_gpu), ("azurite", lambda: azurite.command() is not None)):
        needing = [item for item in items if item.get_closest_marker(mark)]
        if needing and not there():
            config.hook.pytest_deselected(items=needing)
            items[:] = [item for item in items if item not in set(needing)]


def sees_a_gpu() -> bool:
    import torch

    return torch.cuda.is_available()

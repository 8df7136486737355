"""One private MongoDB for every test that meets a real FiftyOne, and a process in which that
FiftyOne runs."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
import azurite  # noqa: E402 - beside this file
from fiftyone_worker import Worker  # noqa: E402

from coreset_engine.export.fiftyone.mongodb import ensure, private_server  # noqa: E402


@pytest.fixture(scope="session")
def mongo(tmp_path_factory):
    """URI of a mongod of this session only, stopped at its end."""
    ensure()
    with private_server(tmp_path_factory.mktemp("mongo")) as uri:
        yield uri


@pytest.fixture(scope="session")
def fiftyone(mongo, tmp_path_factory):
    """`fiftyone(function, *args)` runs a function of a test module in a process with a real
    FiftyOne."""
    worker = Worker(mongo, tmp_path_factory.mktemp("fiftyone"))
    yield worker.call
    worker.stop()


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

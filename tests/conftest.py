"""One private MongoDB for every test that meets a real FiftyOne, and a process in which that FiftyOne runs."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from fiftyone_worker import Worker  # noqa: E402 - beside this file

from coreset_engine.export.database import ensure, private_server  # noqa: E402


@pytest.fixture(scope="session")
def mongo(tmp_path_factory):
    """URI of a mongod of this session only, stopped at its end."""
    ensure()
    with private_server(tmp_path_factory.mktemp("mongo")) as uri:
        yield uri


@pytest.fixture(scope="session")
def fiftyone(mongo, tmp_path_factory):
    """`fiftyone(function, *args)` runs a function of a test module in a process with a real FiftyOne."""
    worker = Worker(mongo, tmp_path_factory.mktemp("fiftyone"))
    yield worker.call
    worker.stop()


def pytest_collection_modifyitems(config, items):
    """Leave out what needs a CUDA GPU where torch sees none, and count it as deselected, not as skipped."""
    needing = [item for item in items if item.get_closest_marker("gpu")]
    if not needing:
        return
    import torch

    if not torch.cuda.is_available():
        config.hook.pytest_deselected(items=needing)
        items[:] = [item for item in items if item not in set(needing)]

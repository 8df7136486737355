"""One private MongoDB for every test that meets a real FiftyOne; FiftyOne itself runs in child processes (it reads its config once)."""

from __future__ import annotations

import pytest

from coreset_engine.export.database import ensure, private_server


@pytest.fixture(scope="session")
def mongo(tmp_path_factory):
    """URI of a mongod of this session only, stopped at its end."""
    ensure()
    with private_server(tmp_path_factory.mktemp("mongo")) as uri:
        yield uri

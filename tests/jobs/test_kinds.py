"""Every kind of job can be submitted, has its work, and has a name in the sidebar."""

from __future__ import annotations

from coreset_engine.jobs import manager, worker
from ui.components.jobs import NAMES


def test_every_kind_of_job_has_its_work_and_its_name():
    assert set(manager.KINDS) == set(worker.KINDS)
    assert set(manager.KINDS) <= set(NAMES)

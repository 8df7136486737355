"""What is loaded is set apart from garbage collection once, and only what came later is looked at."""

from __future__ import annotations

import gc
import sys
import types
import weakref

import pytest

from ui import settled


@pytest.fixture
def thawed():
    yield
    gc.unfreeze()
    settled._known[0] = 0


def test_modules_are_set_apart_when_enough_are_new(thawed, monkeypatch):
    settled._known[0] = 0
    assert settled.settle() and gc.get_freeze_count() > 1000
    assert not settled.settle(), "nothing new"
    before = gc.get_freeze_count()
    for number in range(settled.STEP):
        monkeypatch.setitem(sys.modules, f"made_up_{number}", types.ModuleType("made_up"))
    assert settled.settle() and gc.get_freeze_count() > before


def test_what_comes_later_is_still_collected(thawed):
    settled._known[0] = 0
    settled.settle()

    class Ring:
        pass

    ring = Ring()
    ring.own = ring
    gone = weakref.ref(ring)
    del ring
    gc.collect()
    assert gone() is None

"""What is loaded is set apart from garbage collection once, and only what came later is looked
at."""

from __future__ import annotations

import gc
import sys
import types
import weakref

import pytest

from ui.state import gc_freeze


@pytest.fixture
def thawed():
    yield
    gc.unfreeze()
    gc_freeze._known[0] = 0


def test_modules_are_set_apart_when_enough_are_new(thawed, monkeypatch):
    gc_freeze._known[0] = 0
    assert gc_freeze.freeze_new_modules() and gc.get_freeze_count() > 1000
    assert not gc_freeze.freeze_new_modules(), "nothing new"
    before = gc.get_freeze_count()
    for number in range(gc_freeze.STEP):
        monkeypatch.setitem(sys.modules, f"made_up_{number}", types.ModuleType("made_up"))
    assert gc_freeze.freeze_new_modules() and gc.get_freeze_count() > before


def test_what_comes_later_is_still_collected(thawed):
    gc_freeze._known[0] = 0
    gc_freeze.freeze_new_modules()

    class Ring:
        pass

    ring = Ring()
    ring.own = ring
    gone = weakref.ref(ring)
    del ring
    gc.collect()
    assert gone() is None

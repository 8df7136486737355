"""Arrays in files: room is taken before the first write, so that a full disk is an error."""

from __future__ import annotations

import errno
import os

import numpy as np
import pytest

from coreset_engine.core.disk_arrays import new_array


def test_it_is_a_file_of_numpy_with_its_room_taken(tmp_path):
    array = new_array(tmp_path / "a.npy", np.float32, (1000, 100))
    about = os.stat(tmp_path / "a.npy")
    assert about.st_blocks * 512 >= array.nbytes  # a sparse file would hold none
    array[3] = 7
    array.flush()
    found = np.load(tmp_path / "a.npy")
    assert found.shape == (1000, 100) and found[3].tolist() == [7] * 100 and found.sum() == 700


def test_a_full_disk_is_an_error_and_leaves_nothing(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(OSError, match="No space left"):
        new_array(tmp_path / "a.npy", np.int64, (10,))
    assert list(tmp_path.iterdir()) == []

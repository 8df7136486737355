"""Ctrl-C ends a command within two seconds, wherever it is, with one sentence.

Python runs its own handler only between two of its instructions, so a long call into a library, or
threads that are joined at the end, would keep the user waiting. A thread learns of the signal from
the kernel's side (a wake-up pipe) and, when the orderly way has not ended in time, leaves without
it; only a library that holds the interpreter itself (a first compilation) can still delay that.
Nothing is lost: files are whole or absent.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

GRACE_S = 1.0
SENTENCE = "error: stopped; finished work is kept; run the same command again to continue."
EXIT_CODE = 3
_notified = threading.Event()


@contextmanager
def armed(grace: float = GRACE_S) -> Iterator[None]:
    """While inside, a Ctrl-C ends the process `grace` seconds later at the latest.

    Nothing off the main thread.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    before = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    threading.Thread(target=_watch, args=(reader, grace), daemon=True).start()
    try:
        yield
    finally:
        signal.set_wakeup_fd(before)
        os.close(writer)


def say() -> None:
    """The sentence on stderr, once."""
    if not _notified.is_set():
        _notified.set()
        print(SENTENCE, file=sys.stderr, flush=True)


def _watch(reader: int, grace: float) -> None:
    try:
        while heard := os.read(reader, 1):
            if heard[0] == signal.SIGINT:
                time.sleep(grace)
                say()
                os._exit(EXIT_CODE)
    finally:
        os.close(reader)

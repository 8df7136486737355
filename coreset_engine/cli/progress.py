"""The progress of a command, on stderr."""

from __future__ import annotations

import sys
import time


class ProgressBar:
    """progress(stage, done, total, unit) on stderr: share, rate, time left.

    Quiet when stderr is not a terminal.
    """

    def __init__(self) -> None:
        self.stage = ""
        self.began = 0.0
        self.last = 0.0

    def __call__(self, stage: str, done: int, total: int, unit: str = "") -> None:
        now = time.monotonic()
        if stage != self.stage:
            self.stage = stage
            self.began = now
            self.last = 0.0
            if not sys.stderr.isatty():
                print(f"{stage} ...", file=sys.stderr)
        if not sys.stderr.isatty() or (now - self.last < 0.2 and done < total):
            return
        self.last = now
        spent = now - self.began
        left = f", {spent * (total - done) / done:.0f} s left" if 0 < done < total else ""
        print(
            f"\r\033[K{stage} {100 * done / max(total, 1):.0f} % ({done:,} of {total:,} "
            f"{unit}{left})",
            end="" if done < total else "\n",
            file=sys.stderr,
            flush=True,
        )

"""Findings against planted truth, against cleanvision, and what cleaning is worth in accuracy.

    python benchmarks/findings.py planted SOURCE [--images 400] [--encoder NAME]
    python benchmarks/findings.py blur SOURCE [--images 1000]
    python benchmarks/findings.py scale [--images 1000000]
    python benchmarks/findings.py cleanvision SOURCE --python ENV/bin/python [--images 10000]
    python benchmarks/findings.py accuracy SOURCE [--seeds 5]
    python benchmarks/findings.py held-out UNPACKED --out FOLDER

planted: copies, recompressed, shrunken, turned, blurred, dark, ... images and wrong labels are added
to images of SOURCE, and leaks to a second folder; prints precision and recall of each finding.
What the same images show without anything planted is not counted as wrong, nor is an image
that was altered in another way (a darkened one is low in contrast too). blur: 20 images of the set are
blurred in each of several ways; what is found among the others is counted too. scale: seconds and
peak memory of the findings that need vectors, on made-up ones with planted copies. cleanvision: both look
at the same PNG files, one process each on one core; prints core seconds, their ratio and the
agreement on cleanvision's own issues. ENV holds cleanvision, which is not a dependency of this
repository. accuracy: the same budget with and without cleaning, paired, a linear model. held-out: cuts
two sets for `blur` out of Debian's packages of stamps and wallpapers, see findings_parts/held_out.py.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path[0] = str(Path(__file__).resolve().parent.parent)

from benchmarks.findings_parts.accuracy import accuracy  # noqa: E402
from benchmarks.findings_parts.blur import blur  # noqa: E402
from benchmarks.findings_parts.cleanvision import against_cleanvision  # noqa: E402
from benchmarks.findings_parts.held_out import held_out  # noqa: E402
from benchmarks.findings_parts.planted import planted  # noqa: E402
from benchmarks.findings_parts.scale import scale  # noqa: E402
from coreset_engine.pipeline.run import Run  # noqa: E402
from coreset_engine.sources.open import open_source  # noqa: E402

WHAT = ("planted", "blur", "scale", "cleanvision", "accuracy", "held-out")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=WHAT)
    parser.add_argument("source", nargs="?", default="")
    parser.add_argument("--images", type=int, default=0)
    parser.add_argument("--encoder", default="efficientnet_lite0")
    parser.add_argument("--python", default=sys.executable)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--out", type=Path, default=Path("held-out"))
    given = parser.parse_args()
    if given.what == "planted":
        planted(given.source, given.images or 400, given.encoder)
    elif given.what == "scale":
        scale(given.images or 1_000_000)
    elif given.what == "blur":
        blur(given.source, given.images or 1000)
    elif given.what == "held-out":
        held_out(Path(given.source), given.out)
    elif given.what == "cleanvision":
        against_cleanvision(given.source, given.images or 10_000, given.python)
    else:
        accuracy(Run(open_source(given.source), encoder=given.encoder), given.seeds)


if __name__ == "__main__":
    main()

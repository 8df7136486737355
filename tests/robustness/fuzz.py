"""Fuzz every parser in parsers.py for minutes of processor time; count the runs, keep what answered
in a new way.

    python tests/robustness/fuzz.py --minutes 10 [--keep]

--keep writes the shortest input for each new kind of answer to corpus/PARSER/, at most MOST files
each of at most LONGEST bytes, and drops those whose answer another one gives by now. Ends with 1
when a parser let a foreign exception out; its input is then in corpus/PARSER/fault-*, where the
suite finds it until it is mended.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import resource
import sys
import time
import traceback
from collections import Counter
from pathlib import Path
from warnings import simplefilter

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests"), str(Path(__file__).parent)]

from hypothesis import HealthCheck, given, seed, settings  # noqa: E402 - the path comes first
from parsers import PARSERS  # noqa: E402
from test_fuzz_corpus import CORPUS, damaged, tried  # noqa: E402

MOST = 40
LONGEST = 4000
ROUND = 250


def attack(
    name: str, turn: int, found: dict[str, bytes], faults: dict[str, str], until: float
) -> int:
    """One round of examples against one parser; how many were run."""
    count = 0

    @seed(turn)
    @settings(
        max_examples=ROUND, deadline=None, database=None, suppress_health_check=list(HealthCheck)
    )
    @given(damaged(PARSERS[name][0]))
    def once(data: bytes) -> None:
        nonlocal count
        if time.process_time() > until:
            return
        count += 1
        try:
            message = tried(name, data)
        except Exception as error:  # noqa: BLE001 - this is what is looked for
            where = traceback.extract_tb(error.__traceback__)[-1]
            what = f"{name}: {type(error).__name__} at {Path(where.filename).name}:{where.lineno}"
            if what not in faults:
                faults[what] = keep(name, data, "fault-")
                traceback.print_exc()
            return
        if message not in found or len(data) < len(found[message]):
            found[message] = data

    once()
    return count


def keep(name: str, data: bytes, prefix: str = "") -> str:
    path = CORPUS / name / f"{prefix}{hashlib.sha256(data).hexdigest()[:16]}"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return str(path.relative_to(ROOT))


def settle(name: str, found: dict[str, bytes]) -> int:
    """Rewrite the corpus of one parser; its bytes."""
    old = [path for path in (CORPUS / name).glob("*") if not path.name.startswith("fault-")]
    for path in old:
        message = tried(name, data := path.read_bytes())
        if message not in found or len(data) <= len(found[message]):
            found[message] = data
    chosen = sorted((data for data in found.values() if len(data) <= LONGEST), key=len)[:MOST]
    for path in old:
        path.unlink()
    for data in chosen:
        keep(name, data)
    return sum(map(len, chosen))


def main() -> int:
    parse = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parse.add_argument("--minutes", type=float, default=10)
    parse.add_argument("--keep", action="store_true")
    parse.add_argument("--only", choices=list(PARSERS))
    given_ = parse.parse_args()
    simplefilter("ignore")
    begin = time.process_time()
    counts = Counter()
    faults = {}
    names = [given_.only] if given_.only else list(PARSERS)
    until = begin + 60 * given_.minutes
    turn = 0
    found: dict[str, dict[str, bytes]] = {name: {} for name in names}
    base = int.from_bytes(os.urandom(4), "big")
    while time.process_time() < until:
        for name in names:
            counts[name] += attack(name, base + turn, found[name], faults, until)
            turn += 1
    sizes = {name: settle(name, found[name]) for name in names} if given_.keep else {}
    print(
        json.dumps(
            dict(
                minutes=round((time.process_time() - begin) / 60, 1),
                executions=sum(counts.values()),
                parsers=len(counts),
                each=dict(counts),
                answers=sum(map(len, found.values())),
                peak_rss_mb=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10,
                corpus_bytes=sum(sizes.values()),
                faults=faults,
            ),
            indent=1,
        )
    )
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())

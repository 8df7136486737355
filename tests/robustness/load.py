"""Many sessions on one server: no crossed state, no leak, and how long a move of a knob takes on
the server.

    python tests/robustness/load.py --sessions 20 --minutes 10 --images 10000

Each session is a WebSocket that speaks Streamlit's own protocol, as a browser does: it opens the
Select page of its own dataset (four sets of real digit vectors with noise, the largest of --images)
and its own knobs, then moves the pruning rate every 2 to 6 s; every sixth step it opens Export and
compares the count there with its own rate. A crossed state is an answer that names another dataset,
another rate or another count. Times are from the message to "script finished".
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "browser")]
PREPARE = """
import sys
from coreset_engine.pipeline.run import Run
from coreset_engine.sources.open import open_source
for path in sys.argv[1:]:
    run = Run(open_source(path))
    for stage in ("embeddings", "neighbours", "coverage", "map"):
        getattr(run, stage)
"""


@dataclass
class Tally:
    """What all sessions together saw; each appends under the lock."""

    seconds: list[float] = field(default_factory=list)
    crossed: list[str] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)


class Session:
    """One WebSocket. run(page, query, click) -> everything the server sent, as text; click: a
    button's label."""

    def __init__(self, address: str) -> None:
        from websockets.sync.client import connect

        self.opened = connect(
            address.replace("http", "ws") + "/_stcore/stream",
            origin=address,
            subprotocols=["streamlit"],
            max_size=None,
            open_timeout=60,
        )
        self.socket = self.opened.__enter__()
        self.buttons: dict[str, str] = {}  # label -> id, as last shown
        self.spent = 0.0  # seconds the last run took

    def run(self, page: str, query: str, click: str = "") -> str:
        from streamlit.proto.BackMsg_pb2 import BackMsg
        from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

        ask = BackMsg()
        reply = []
        began = time.monotonic()
        ask.rerun_script.query_string = query
        ask.rerun_script.page_name = page
        if click:
            widget = ask.rerun_script.widget_states.widgets.add()
            widget.id = self.buttons[click]
            widget.trigger_value = True
        self.socket.send(ask.SerializeToString())
        while True:
            answer = ForwardMsg()
            answer.ParseFromString(self.socket.recv(timeout=120))
            if answer.WhichOneof("type") == "script_finished":
                if answer.script_finished == ForwardMsg.FINISHED_SUCCESSFULLY:
                    self.spent = time.monotonic() - began
                    break
                continue
            reply.append(answer)
        buttons = (answer.delta.new_element.button for answer in reply)
        self.buttons |= {button.label: button.id for button in buttons if button.id}
        return "\n".join(map(str, reply)).replace(
            "\\", ""
        )  # names are escaped for Markdown, and again by str

    def close(self) -> None:
        self.opened.__exit__(None, None, None)


@dataclass(frozen=True)
class Visitor:
    """One visitor: number, the folder it opens, its images, and seconds (least, most) to pause."""

    number: int
    path: Path
    count: int
    pause: tuple[float, float]


def visit(address: str, visitor: Visitor, until: float, tally: Tally) -> None:
    """One visitor, until the time is over."""
    number, path, count, pause = visitor.number, visitor.path, visitor.count, visitor.pause
    rng = random.Random(number)
    session = Session(address)
    step = 0
    try:
        while time.monotonic() < until:
            rate = round(rng.uniform(0.1, 0.95), 3)
            query = f"dataset={path}&method=blindcs&p={rate:g}&seed=0"
            page = "export" if step % 6 == 5 else "select"
            message = session.run(page, query)
            wrong = check(message, page, path, count, rate)
            with tally.lock:
                tally.crossed += [f"session {number}, step {step}: {what}" for what in wrong]
                if (
                    step and page == "select"
                ):  # the first run opens the page, the others move a knob
                    tally.seconds.append(session.spent)
            step += 1
            time.sleep(rng.uniform(*pause))
    except Exception as error:  # noqa: BLE001 - any end of a session is a finding
        with tally.lock:
            tally.broken.append(f"session {number}, step {step}: {type(error).__name__}: {error}")
    finally:
        session.close()


def check(message: str, page: str, path: Path, count: int, rate: float) -> list[str]:
    """What in the answer does not belong to this session."""
    shown = f"**{path.name}**" in message and f"{count:,} images" in message
    wrong = [] if shown else [f"{path.name} with {count:,} is not shown"]
    wrong += [
        f"{other.name} is shown"
        for other in path.parent.glob("*.npy")
        if other != path and other.name in message
    ]
    kept = int((1 - rate) * count + 0.5)
    if page == "export" and not any(
        f"{neighbours:,}" in message for neighbours in (kept, kept + 1)
    ):
        wrong.append(f"{kept:,} of {count:,} kept is not shown")
    if "results are unchanged" in message or "Traceback" in message:
        wrong.append("a fault is shown")
    return wrong


def datasets(folder: Path, images: int) -> dict[Path, int]:
    """Four files of digit vectors, each repeated with noise up to its size."""
    import numpy as np
    from sklearn.datasets import load_digits

    digits = load_digits().data.astype(np.float32)
    rng = np.random.default_rng(0)
    found = {}
    for name, count in zip("abcd", (images, images // 2, images // 4, images // 8), strict=True):
        path = folder / f"set-{name}.npy"
        rows = digits[rng.integers(0, len(digits), count)]
        np.save(path, rows + rng.normal(0, 0.5, rows.shape).astype(np.float32))
        found[path] = count
    return found


def measure(
    root: Path, sessions: int, minutes: float, images: int, pause: tuple[float, float] = (2.0, 6.0)
) -> dict:
    """Prepare, serve, load; the figures."""
    import psutil
    from chrome import serve, stop

    (root / "sets").mkdir()
    sets = datasets(root / "sets", images)
    home = root / "home"
    subprocess.run(
        [sys.executable, "-c", PREPARE, *map(str, sets)],
        cwd=ROOT,
        check=True,
        capture_output=True,
        env=os.environ | {"CORESET_HOME": str(home), "PYTHONPATH": str(ROOT)},
    )
    (home / "recent.json").write_text(json.dumps([str(path) for path in sets]))
    server, address = serve("app.py", home, root / "log")
    try:

        def rss() -> int:
            process = psutil.Process(server.pid)
            return sum(
                part.memory_info().rss for part in [process, *process.children(recursive=True)]
            )

        warm(address, sets)
        tally = Tally()
        before = rss()
        first = crowd(
            address, sets, sessions, max(10.0, 6 * minutes), pause, tally
        )  # a tenth: caches fill
        level = rss()
        crowd(address, sets, sessions, 60 * minutes, pause, tally)
        busy = rss()
        time.sleep(5)
        return figures(tally, sessions, minutes, images) | dict(
            first_moves=first,
            rss_mb=dict(idle=before >> 20, level=level >> 20, busy=busy >> 20, after=rss() >> 20),
        )
    finally:
        stop(server)


def warm(address: str, sets: dict[Path, int]) -> None:
    for path in sets:
        session = Session(address)
        session.run("select", f"dataset={path}&method=blindcs&p=0.9")
        session.close()


def crowd(
    address: str,
    sets: dict[Path, int],
    sessions: int,
    seconds: float,
    pause: tuple[float, float],
    tally: Tally,
) -> int:
    """All sessions at once for `seconds`; moves made so far."""
    until = time.monotonic() + seconds
    order = list(sets.items())
    visitors = [
        threading.Thread(
            target=visit,
            args=(address, Visitor(number, *order[number % 4], pause), until, tally),
        )
        for number in range(sessions)
    ]
    for visitor in visitors:
        visitor.start()
    for visitor in visitors:
        visitor.join()
    return len(tally.seconds)


def figures(tally: Tally, sessions: int, minutes: float, images: int) -> dict:
    times = sorted(tally.seconds)
    part = {
        f"p{share}": round(times[min(len(times) - 1, int(share / 100 * len(times)))], 3)
        for share in (50, 95, 99)
    }
    return dict(
        sessions=sessions,
        minutes=minutes,
        images=images,
        moves=len(times),
        seconds=part,
        crossed=tally.crossed,
        broken=tally.broken,
        cores=os.cpu_count(),
        load_average=[round(value, 1) for value in os.getloadavg()],
    )


def main() -> int:
    parse = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parse.add_argument("--sessions", type=int, default=20)
    parse.add_argument("--minutes", type=float, default=10)
    parse.add_argument("--images", type=int, default=10_000)
    given = parse.parse_args()
    with tempfile.TemporaryDirectory(prefix="coreset-load-") as root:
        found = measure(Path(root), given.sessions, given.minutes, given.images)
    print(json.dumps(found, indent=1))
    return 1 if found["crossed"] or found["broken"] else 0


if __name__ == "__main__":
    sys.exit(main())

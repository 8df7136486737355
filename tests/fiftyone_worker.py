"""A child process with a real FiftyOne on a private MongoDB, for tests that call functions in it by
name.

FiftyOne reads its configuration once per process, so no test may import it: `Worker.call(function,
*args)` runs `function` (of an importable module, JSON-able arguments and result) over there and
raises what it raised.
"""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
import traceback
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
MARK = "\x1eresult "


def environment(uri: str, home: Path) -> dict[str, str]:
    """What isolates a FiftyOne: its own server, its own files, no telemetry."""
    positions = {
        f"FIFTYONE_{name}_DIR": str(home / name.lower())
        for name in ("DATABASE", "DEFAULT_DATASET", "DATASET_ZOO", "MODEL_ZOO", "PLUGINS")
    }
    return (
        os.environ
        | positions
        | {
            "FIFTYONE_DATABASE_URI": uri,
            "FIFTYONE_DATABASE_VALIDATION": "false",
            "FIFTYONE_DO_NOT_TRACK": "1",
            "FIFTYONE_CONFIG_PATH": str(home / "config.json"),
            "CORESET_HOME": str(home / "coreset"),
            "OMP_NUM_THREADS": "1",
        }
    )


class Worker:
    def __init__(self, uri: str, home: Path) -> None:
        self.log = (home / "worker.log").open("w+")
        self.process = subprocess.Popen(
            [sys.executable, __file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.log,
            text=True,
            env=environment(uri, home),
            cwd=ROOT,
        )

    def call(self, function, *args):
        request = dict(
            folder=str(Path(sys.modules[function.__module__].__file__).parent),
            module=function.__module__,
            function=function.__name__,
            args=args,
        )
        self.process.stdin.write(json.dumps(request, default=str) + "\n")
        self.process.stdin.flush()
        for line in self.process.stdout:
            if line.startswith(MARK):
                answer = json.loads(line.removeprefix(MARK))
                assert "error" not in answer, answer["error"]
                return answer["value"]
        raise AssertionError(
            "the process with FiftyOne ended: " + Path(self.log.name).read_text()[-3000:]
        )

    def stop(self) -> None:
        self.process.stdin.close()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.log.close()


def delete_every_dataset() -> None:
    """Empty the database, so that no test module depends on which others ran before it."""
    import fiftyone

    fiftyone.delete_datasets("*")


def serve() -> None:
    sys.path.insert(0, str(ROOT))
    for line in sys.stdin:
        request = json.loads(line)
        if request["folder"] not in sys.path:
            sys.path.insert(0, request["folder"])
        try:
            module = importlib.import_module(request["module"])
            answer = {"value": getattr(module, request["function"])(*request["args"])}
        except BaseException:  # noqa: BLE001 - report any error to the test
            answer = {"error": traceback.format_exc()}
        print(MARK + json.dumps(answer, default=str), flush=True)


if __name__ == "__main__":
    serve()

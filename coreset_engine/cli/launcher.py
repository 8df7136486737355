"""`coreset-explorer`: start the app on 127.0.0.1:8501.

`scripts/app` calls this once it has set up the environment, so both take the same options. Until
the demo is computed or the server started, nothing but the standard library is imported.
"""

from __future__ import annotations

import argparse
import errno
import os
import re
import socket
import sys
from collections.abc import Sequence
from typing import NoReturn

from coreset_engine.core.errors import BadInput, CoresetError
from coreset_engine.core.installation import shipped

DEMO = "demo-photos"


class _Parser(argparse.ArgumentParser):
    """Report errors in one line, like every command."""

    def error(self, message: str) -> NoReturn:
        raise BadInput(f"{message}; see {self.prog} --help.")


def main(arguments: Sequence[str] | None = None) -> None:
    """Check the options, compute the demo if asked to, then become the Streamlit server."""
    try:
        options = _parse(arguments)
        _check_free(options.host, options.port)
        if options.check:
            return
        if not _is_loopback(options.host):
            _say(
                f"listening on {options.host}, reachable from other machines: the server's first "
                "line says whether access is protected."
            )
        if options.demo:
            _say("Computing the demo (stored for the next time) ...")
            compute_demo()
            os.environ["CORESET_OPEN"] = DEMO
    except CoresetError as error:
        _say(f"error: {error}")
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(3)
    _say(f"Coreset Explorer: http://{options.host}:{options.port}   (stop with Ctrl-C)")
    _serve(options.host, options.port)


def compute_demo() -> None:
    """Every stage of the demo and its image statistics, which the page Clean shows.

    What is stored already costs nothing.
    """
    from coreset_engine.pipeline.image_statistics_stage import image_statistics
    from coreset_engine.pipeline.run import STAGES, Run
    from coreset_engine.sources.open import open_source

    run = Run(open_source(DEMO))
    for stage in STAGES:
        getattr(run, stage)
    image_statistics(run)


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = _Parser(
        prog="coreset-explorer",
        description="Start Coreset Explorer in the browser, on this machine only by default.",
        allow_abbrev=False,
    )
    parser.add_argument(
        "--demo",
        action="store_true",
        help="open on 640 pictures, computed in advance (about a minute the first time)",
    )
    parser.add_argument("--port", default="8501", help="1 to 65535; default 8501")
    parser.add_argument(
        "--host",
        default="127.0.0.1",
        help=(
            "address to listen on; with anything other than 127.0.0.1, anyone who can reach it can "
            "use the app"
        ),
    )
    # for scripts/app: check the options and the port before the environment is installed
    parser.add_argument("--check", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    options.port = _port(options.port)
    return options


def _port(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,5}", text) or not 1 <= int(text) <= 65535:
        raise BadInput(
            f"port {text!r} must be a whole number from 1 to 65535, for example --port 8502."
        )
    return int(text)


def _check_free(host: str, port: int) -> None:
    """Raises BadInput where the server could not listen."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except socket.gaierror:
            raise BadInput(
                f"host {host!r} is not an address of this machine; for example --host 0.0.0.0."
            ) from None
        except OSError as error:
            other = port + 1 if port < 65535 else 8501
            if error.errno != errno.EADDRINUSE:
                raise BadInput(
                    f"port {port} on {host} cannot be opened ({error.strerror}); choose "
                    f"another, for example --port {other}."
                ) from None
            raise BadInput(
                f"port {port} is taken on {host}; stop what uses it or choose another, for example "
                f"--port {other}."
            ) from None


def _is_loopback(host: str) -> bool:
    return host == "localhost" or host == "::1" or host.startswith("127.")


def _serve(host: str, port: int) -> NoReturn:
    """Replace this process by the server, so that Ctrl-C and signals reach it directly."""
    options = ["--server.address", host, "--server.port", str(port), "--server.headless", "true"]
    # -P: a folder `ui` or a file `streamlit.py` in the current folder must not be imported.
    command = [sys.executable, "-P", "-m", "streamlit", "run", str(shipped("app.py")), *options]
    sys.stderr.flush()
    os.execv(sys.executable, command)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()

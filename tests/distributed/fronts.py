"""A door in front of an emulated object store that lets requests through, or answers them as a test
wants."""

from __future__ import annotations

import contextlib
import http.client
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit


class Front:
    """An HTTP server on 127.0.0.1 before `behind` (host, port). refuse: of the next so many
    requests for an object's bytes, each is answered 503. status: answered to every request, when
    set. asked, refused: what was counted."""

    def __init__(self, behind: tuple[str, int], is_object: Callable[[str], bool]) -> None:
        self.behind = behind
        self.is_object = is_object
        self.refuse = 0
        self.status = 0
        self.asked = 0
        self.refused = 0
        self.door = threading.Lock()
        front = self

        class Answer(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                with contextlib.suppress(
                    ConnectionError
                ):  # gcsfs asks two ways at once and hangs up on the slower
                    front.answer(self)

            do_HEAD = do_GET

            def log_message(self, *args: object) -> None:
                """Nothing is written."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
        self.server.daemon_threads = True
        self.address = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        with self.door:
            wanted = request.command == "GET" and self.is_object(request.path)
            code = self.status
            self.asked += wanted
            if wanted and self.refuse:
                self.refuse = self.refuse - 1
                self.refused = self.refused + 1
                code = 503
        if code:
            request.send_response(code)
            request.send_header("Content-Length", "0")
            request.end_headers()
            return
        behind = http.client.HTTPConnection(*self.behind, timeout=30)
        try:
            behind.request(request.command, request.path, headers=dict(request.headers))
            answer = behind.getresponse()
            data = answer.read()
        finally:
            behind.close()
        request.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in (
                "transfer-encoding",
                "connection",
                "content-length",
                "date",
                "server",
            ):
                request.send_header(name, value)
        request.send_header("Content-Length", str(answer.headers.get("Content-Length", len(data))))
        request.end_headers()
        if request.command != "HEAD":
            request.wfile.write(data)

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


def host_and_port(url: str) -> tuple[str, int]:
    parts = urlsplit(url)
    return str(parts.hostname), int(parts.port or 80)

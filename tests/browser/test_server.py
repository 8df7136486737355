"""The running server seen from outside: where it listens, whom it answers, what it never hands
out."""

from __future__ import annotations

import gzip
import http.client
import re
import socket
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from chrome import ROOT, serve, stop

from ui.server.html_shell import exposure
from ui.server.sockets import set_no_delay


def ask(
    app: str, method: str, path: str, body: bytes | None = None, **headers: str
) -> http.client.HTTPResponse:
    connection = http.client.HTTPConnection(urlsplit(app).netloc, timeout=20)
    named = {name.replace("_", "-"): text for name, text in headers.items()}
    connection.request(method, path, body=body, headers=named)
    answer = connection.getresponse()
    answer.text = answer.read(200_000).decode("utf-8", "replace") if answer.status != 101 else ""
    connection.close()
    return answer


def shake(app: str, origin: str) -> int:
    """The status of a WebSocket handshake that a page of `origin` would begin."""
    return ask(
        app,
        "GET",
        "/_stcore/stream",
        Origin=origin,
        Connection="Upgrade",
        Upgrade="websocket",
        Sec_WebSocket_Version="13",
        Sec_WebSocket_Key="dGhlIHNhbXBsZSBub25jZQ==",
    ).status


def test_only_this_machine_can_connect(app):
    port = urlsplit(app).port
    with socket.create_connection(("127.0.0.1", port), 5):
        pass
    with pytest.raises(
        ConnectionRefusedError
    ):  # another address of this machine: bound to one, not to all
        socket.create_connection(("127.0.0.2", port), 5)


def test_another_site_gets_no_session(app):
    assert shake(app, app) == 101
    assert shake(app, "http://evil.example") in (400, 403)
    assert shake(app, "null") in (400, 403)


def test_a_rebound_name_is_refused_on_every_page_and_route(app):
    for path in ("/", "/select", "/coreset/js/x/scatter.js", "/coreset/thumb/x/0.webp"):
        answer = ask(app, "GET", path, Host="evil.example")
        assert answer.status in (307, 400), path
        assert "<html" not in answer.text
    assert ask(app, "GET", "/select").status == 200
    assert ask(app, "GET", "/select", Host=f"localhost:{urlsplit(app).port}").status == 200


def test_a_host_name_to_listen_on_is_its_own_name(tmp_path):
    answer = (
        "import streamlit as st; st.config.set_option('server.address', 'box.lan'); "
        "from ui.server.hosts import is_trusted; print(*map(is_trusted, ('box.lan:8501', "
        "'other.lan', 'evil.example')))"
    )
    done = subprocess.run(
        [sys.executable, "-c", answer], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert done.stdout.split() == ["True", "False", "False"], done.stderr


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
def test_our_routes_only_answer_get(app, method):
    for path in (
        "/coreset/js/x/scatter.js",
        "/coreset/thumb/x/0.webp",
        "/coreset/points/x-y.bin",
        "/select",
    ):
        assert ask(app, method, path, b"x").status in (403, 404, 405), path


def test_uploads_need_the_token_that_other_sites_cannot_read(app):
    body = (
        b'--b\r\nContent-Disposition: form-data; name="f"; filename="x.png"\r\n\r\nx\r\n--b--\r\n'
    )
    answer = ask(
        app, "PUT", "/_stcore/upload_file/a/b", body, Content_Type="multipart/form-data; boundary=b"
    )
    assert answer.status in (400, 403)
    assert "evil" not in str(
        ask(app, "GET", "/_stcore/host-config", Origin="http://evil.example").headers
    )


@pytest.mark.parametrize(
    "path",
    [
        "/app/static/app.py",
        "/static/../app.py",
        "/static/%2e%2e/%2e%2e/app.py",
        "/coreset/thumb/../../app.py",
        "/coreset/js/x/..%2f..%2fapp.js",
        "/app.py",
        "/.streamlit/config.toml",
        "//etc/passwd",
        "/media/../../../etc/passwd",
    ],
)
def test_no_file_is_reached_by_path(app, path):
    text = ask(app, "GET", path).text
    assert (
        "set_page_config" not in text and "enableXsrfProtection" not in text and "root:" not in text
    )


@pytest.mark.parametrize(
    ("address", "guarded", "warns"),
    [
        ("127.0.0.1", False, False),
        ("127.0.0.2", False, False),
        ("::1", False, False),
        ("localhost", False, False),
        ("0.0.0.0", False, True),
        ("::", False, True),
        ("", False, True),
        (None, False, True),
        ("box.lan", False, True),
        ("192.168.1.5", False, True),
        ("0.0.0.0", True, False),
    ],
)
def test_listening_elsewhere_warns_unless_guarded(address, guarded, warns):
    message = exposure(address, guarded)
    assert (message is not None) == warns
    assert not warns or "authentication" in message


def test_the_server_itself_says_so(tmp_path):
    process, _ = serve("app.py", tmp_path, tmp_path / "log", STREAMLIT_SERVER_ADDRESS="0.0.0.0")
    stop(process)
    assert re.search("Listening on 0.0.0.0: anyone who reaches it", (tmp_path / "log").read_text())


def test_accepted_connections_send_small_answers_at_once():
    """Streamlit's socket has Nagle's algorithm on: about 40 ms for each answer but the first."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        assert set_no_delay() >= 1
        with socket.create_connection(listening.getsockname()):
            accepted, _ = listening.accept()
            with accepted:
                assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_scripts_are_answered_whole_whether_compressed_or_not(app):
    import streamlit

    folder = Path(streamlit.__file__).parent / "static" / "static"
    name = next((folder / "js").glob("index.*.js"))
    for asked in ("identity", "gzip, deflate, br"):
        answer = http.client.HTTPConnection(urlsplit(app).netloc, timeout=20)
        answer.request("GET", f"/static/js/{name.name}", headers={"Accept-Encoding": asked})
        got = answer.getresponse()
        body = got.read()
        if got.headers["Content-Encoding"] == "gzip":
            body = gzip.decompress(body)
        assert body == name.read_bytes()
        assert "immutable" in got.headers["Cache-Control"]
        assert got.headers["Content-Type"].startswith("text/javascript")
    assert ask(app, "HEAD", f"/static/js/{name.name}").status == 200
    part = ask(app, "GET", f"/static/js/{name.name}", Range="bytes=0-9")
    assert part.status == 206 and len(part.text) == 10

"""Local object stores with injected failures, and a Ray cluster of three
nodes that know them."""

from __future__ import annotations

import os
import subprocess
import threading
from contextlib import ExitStack
from pathlib import Path

import azurite
import pytest
from fronts import Front, host_and_port

KEYS = dict(AWS_ACCESS_KEY_ID="test", AWS_SECRET_ACCESS_KEY="test", AWS_DEFAULT_REGION="us-east-1")


class Store:
    """An S3 server over HTTP on 127.0.0.1. failing: of how many requests for an object one is
    answered with 503 (0: none, 1: every one). asked: those requests; refused: those answered with
    503."""

    def __init__(self) -> None:
        from moto.server import DomainDispatcherApplication, create_backend_app
        from werkzeug.serving import make_server

        self.app = DomainDispatcherApplication(create_backend_app)
        self.failing = 0
        self.asked = 0
        self.refused = 0
        self.door = threading.Lock()
        self.server = make_server("127.0.0.1", 0, self.answer, threaded=True)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def answer(self, environ, start_response):
        with self.door:
            if environ["REQUEST_METHOD"] == "GET" and environ["PATH_INFO"].count("/") > 1:
                self.asked += 1
                if self.failing and self.asked % self.failing == 0:
                    self.refused += 1
                    start_response("503 Slow Down", [("Content-Type", "application/xml")])
                    return [
                        b"<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>"
                    ]
        return self.app(environ, start_response)


@pytest.fixture(scope="package")
def s3():
    """The server; this process and whatever it starts afterwards find it under s3://."""
    import logging

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    store = Store()
    before = dict(os.environ)
    os.environ.update(KEYS, AWS_ENDPOINT_URL=store.url)
    yield store
    store.server.shutdown()
    for name in (*KEYS, "AWS_ENDPOINT_URL"):
        os.environ.pop(name) if name not in before else os.environ.update({name: before[name]})


class Emulated:
    """An emulated store: `direct`, its address for a test that fills it, and `front`, the door that
    others find."""

    def __init__(self, direct: str, front: Front) -> None:
        self.direct = direct
        self.front = front


@pytest.fixture(scope="package")
def gs():
    """A Google Cloud Storage emulator; this process and whatever it starts afterwards find it under
    gs://."""
    from functools import partial
    from http.server import ThreadingHTTPServer

    from gcp_storage_emulator.server import RequestHandler
    from gcp_storage_emulator.storage import Storage

    server = ThreadingHTTPServer(
        ("127.0.0.1", 0), partial(RequestHandler, Storage(use_memory_fs=True))
    )
    threading.Thread(target=server.serve_forever, daemon=True).start()
    front = Front(("127.0.0.1", server.server_port), lambda path: "alt=media" in path)
    before = os.environ.get("STORAGE_EMULATOR_HOST")
    os.environ["STORAGE_EMULATOR_HOST"] = front.address
    yield Emulated(f"http://127.0.0.1:{server.server_port}", front)
    os.environ.pop("STORAGE_EMULATOR_HOST") if before is None else os.environ.update(
        STORAGE_EMULATOR_HOST=before
    )
    front.close()
    server.shutdown()
    server.server_close()


# The account and key that every Azurite has, as published in its manual.
AZURE = (
    "DefaultEndpointsProtocol=http;AccountName=devstoreaccount1;AccountKey="
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==;"
    "BlobEndpoint={}/devstoreaccount1;"
)


@pytest.fixture(scope="package")
def az(tmp_path_factory):
    """Azure's own emulator; this process and whatever it starts afterwards find it under az://."""
    server = subprocess.Popen(
        [
            azurite.command(),
            "--inMemoryPersistence",
            "--disableTelemetry",
            "--skipApiVersionCheck",
            "--silent",
            "--blobPort",
            "0",
        ],
        cwd=tmp_path_factory.mktemp("azurite"),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    message = ""
    for line in server.stdout:
        message += line
        if "listens on" in line or "listening on" in line:
            break
    else:
        pytest.fail(f"Azurite ended with {server.wait()}: {message}", pytrace=False)
    direct = line.split()[-1]
    threading.Thread(
        target=server.stdout.read, daemon=True
    ).start()  # so that it never waits for its reader
    front = Front(
        host_and_port(direct), lambda path: "comp=" not in path and "restype=" not in path
    )
    before = os.environ.get("AZURE_STORAGE_CONNECTION_STRING")
    os.environ["AZURE_STORAGE_CONNECTION_STRING"] = AZURE.format(front.address)
    yield Emulated(AZURE.format(direct), front)
    os.environ.pop("AZURE_STORAGE_CONNECTION_STRING")
    if before is not None:
        os.environ["AZURE_STORAGE_CONNECTION_STRING"] = before
    front.close()
    server.terminate()
    server.wait(10)


CLUSTER = ExitStack()


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item, nextitem):
    """Stop the cluster after the last test of this folder.

    Scope "package" means the whole session in a folder without __init__.py, and an idle cluster of
    three nodes takes a sixth of a core.
    """
    if nextitem is None or Path(__file__).parent not in nextitem.path.parents:
        CLUSTER.close()


@pytest.fixture(scope="package")
def three_nodes(s3, gs):
    import ray
    from ray.cluster_utils import Cluster

    from coreset_engine.distributed import ray_cluster as beyond

    cluster = Cluster(
        initialize_head=True,
        head_node_args=dict(num_cpus=1, object_store_memory=200 << 20, include_dashboard=False),
    )
    for _ in range(2):
        cluster.add_node(num_cpus=1, object_store_memory=200 << 20)
    beyond.connect(cluster.address)
    CLUSTER.callback(cluster.shutdown)
    CLUSTER.callback(ray.shutdown)
    yield cluster
    CLUSTER.close()

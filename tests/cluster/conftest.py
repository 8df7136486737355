"""An S3 server of this machine's own, whose faults a test chooses, and a Ray cluster of three nodes that know it."""

from __future__ import annotations

import os
import threading

import pytest

KEYS = dict(AWS_ACCESS_KEY_ID="test", AWS_SECRET_ACCESS_KEY="test", AWS_DEFAULT_REGION="us-east-1")


class Store:
    """An S3 server over HTTP on 127.0.0.1. failing: of how many requests for an object one is answered with 503 (0:
    none, 1: every one). asked: those requests; refused: those answered with 503."""

    def __init__(self) -> None:
        from moto.server import DomainDispatcherApplication, create_backend_app
        from werkzeug.serving import make_server

        self.app, self.failing, self.asked, self.refused = DomainDispatcherApplication(create_backend_app), 0, 0, 0
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
                    return [b"<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>"]
        return self.app(environ, start_response)


@pytest.fixture(scope="package")
def s3():
    """The server; this process and whatever it starts afterwards find it under s3://."""
    import logging

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    store, before = Store(), dict(os.environ)
    os.environ.update(KEYS, AWS_ENDPOINT_URL=store.url)
    yield store
    store.server.shutdown()
    for name in (*KEYS, "AWS_ENDPOINT_URL"):
        os.environ.pop(name) if name not in before else os.environ.update({name: before[name]})


@pytest.fixture(scope="package")
def three_nodes(s3):
    import ray
    from ray.cluster_utils import Cluster

    from coreset_engine.run import cluster as beyond

    cluster = Cluster(initialize_head=True, head_node_args=dict(num_cpus=1, object_store_memory=200 << 20,
                                                                include_dashboard=False))
    for _ in range(2):
        cluster.add_node(num_cpus=1, object_store_memory=200 << 20)
    beyond.connect(cluster.address)
    yield cluster
    ray.shutdown()
    cluster.shutdown()

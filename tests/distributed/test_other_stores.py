"""gs:// and az:// on the emulators of these stores: the source of the same files on disk, failures,
refusals, nodes."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import fsspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import ray
from PIL import Image

from coreset_engine.artifacts.store import Store
from coreset_engine.core.errors import BadInput
from coreset_engine.distributed import embedding
from coreset_engine.embedding.embedder import embed_images, missing_shards
from coreset_engine.embedding.encoders.builders import make_encoder
from coreset_engine.pipeline.executor import EmbeddingTask
from coreset_engine.pipeline.run import Run
from coreset_engine.pipeline.select import select
from coreset_engine.sources.open import open_source
from coreset_engine.sources.remote import parquet

FORMS = {"images": "photos", "tar": "tars/*.tar", "parquet": "tables/*.parquet"}
# Requests of a later opening: it reads the list of classes again, beside tars or in one footer.
LIST_OF_CLASSES = {"images": 0, "tar": 1, "parquet": 2}


def forget_clients() -> None:
    """Clients are kept by their settings; the next test may know another address or other keys."""
    from gcsfs.core import GCSFileSystem

    GCSFileSystem.clear_instance_cache()
    fsspec.get_filesystem_class("az").clear_instance_cache()


@pytest.fixture(autouse=True)
def own_home(tmp_path, monkeypatch):
    monkeypatch.setenv("CORESET_HOME", str(tmp_path / "home"))
    yield
    forget_clients()


@pytest.fixture(scope="module")
def here(tmp_path_factory) -> Path:
    """photos/: 40 pictures in two folders, one of them no picture; tars/ and tables/: the same in
    two files each."""
    root = tmp_path_factory.mktemp("here")
    rng = np.random.default_rng(3)
    for name in ("photos/a", "photos/b", "tars", "tables"):
        (root / name).mkdir(parents=True)
    for part in "ab":
        keys = []
        data = []
        for i in range(20):
            out = io.BytesIO()
            Image.fromarray(rng.integers(0, 255, (16, 16, 3), dtype=np.uint8)).save(out, "PNG")
            keys.append(f"{part}{i:02d}")
            data.append(b"not a picture" if (part, i) == ("b", 7) else out.getvalue())
            (root / "photos" / part / f"{keys[-1]}.png").write_bytes(data[-1])
        with tarfile.open(root / "tars" / f"{part}.tar", "w") as tar:
            for key, one in zip(keys, data, strict=True):
                about = tarfile.TarInfo(f"{key}.png")
                about.size = len(one)
                tar.addfile(about, io.BytesIO(one))
        pq.write_table(
            pa.table({"id": keys, "image": data}),
            root / "tables" / f"{part}.parquet",
            row_group_size=8,
        )
    return root


def filled(fs: fsspec.AbstractFileSystem, here: Path, bucket: str) -> None:
    fs.mkdir(bucket)
    for path in sorted(here.rglob("*.*")):
        fs.pipe_file(f"{bucket}/{path.relative_to(here).as_posix()}", path.read_bytes())


@pytest.fixture(scope="module")
def google(gs, here) -> str:
    from gcsfs.core import GCSFileSystem

    filled(GCSFileSystem(token="anon", endpoint_url=gs.direct), here, "pictures")
    return "gs://pictures"


@pytest.fixture(scope="module")
def azure(az, here) -> str:
    filled(fsspec.filesystem("az", connection_string=az.direct), here, "pictures")
    return "az://pictures"


@pytest.fixture(params=["gs", pytest.param("az", marks=pytest.mark.azurite)])
def store(request):
    """(front, URL of the bucket) of each store in turn."""
    return request.getfixturevalue(request.param).front, request.getfixturevalue(
        {"gs": "google", "az": "azure"}[request.param]
    )


@pytest.mark.parametrize("form", FORMS)
def test_a_bucket_is_the_same_files_on_disk(store, here, form):
    front, bucket = store
    there = open_source(f"{bucket}/{FORMS[form]}")
    on_disk = open_source(here / FORMS[form])
    assert there.ids.tolist() == on_disk.ids.tolist() and len(there) == 39
    assert there.fingerprint == on_disk.fingerprint and there.classes == on_disk.classes
    assert [one.name for one in there.rejected] == [one.name for one in on_disk.rejected]
    assert [one.reason for one in there.rejected] == [one.reason for one in on_disk.rejected]
    assert all(
        (np.asarray(image) == np.asarray(on_disk.image(i))).all()
        for i, image in enumerate(there.images(0, len(there)))
    )
    asked = front.asked
    assert open_source(f"{bucket}/{FORMS[form]}").fingerprint == there.fingerprint
    assert front.asked - asked <= LIST_OF_CLASSES[form]


def selected(folder: object, home: Path):
    return select(
        "blindcs",
        Run(open_source(folder), n_clusters=3, n_samples=500, store=Store(home)),
        prune_rate=0.5,
    )


@pytest.fixture(scope="module")
def selected_here(here, tmp_path_factory):
    return selected(here / "photos", tmp_path_factory.mktemp("run"))


def test_a_run_on_a_bucket_selects_what_a_run_on_disk_selects(store, selected_here, tmp_path):
    there = selected(f"{store[1]}/photos", tmp_path / "run")
    assert list(there.ids) == list(selected_here.ids) and np.array_equal(
        there.scores, selected_here.scores
    )


@pytest.mark.parametrize("form", FORMS)
def test_503s_are_asked_again(store, here, form, monkeypatch, set_limits):
    set_limits(retry_waits_s=(0.01, 0.01, 0.01, 0.01, 0.01, 0.01))
    front, bucket = store
    front.refuse = 4
    front.refused = 0
    there = open_source(f"{bucket}/{FORMS[form]}")
    assert front.refused == 4 and there.fingerprint == open_source(here / FORMS[form]).fingerprint
    front.refuse = 3
    monkeypatch.setattr(parquet, "GROUPS", parquet.Groups())  # the cached row groups are gone
    assert len(list(there.images(0, 20))) == 20 and front.refused == 7


def test_a_store_that_stays_away_is_one_sentence_and_the_same_command_goes_on(
    store, here, set_limits
):
    set_limits(retry_waits_s=(0.01, 0.01))
    front, bucket = store
    front.refuse = 10**9
    front.asked = 0
    with pytest.raises(
        BadInput, match=f"'{bucket}/tars/a.tar' did not answer 3 times .*run the same command"
    ) as error:
        open_source(f"{bucket}/tars/a.tar")
    assert front.asked == 3  # the store's own client asks once each time
    front.refuse = 0
    assert "\n" not in str(error.value) and len(open_source(f"{bucket}/tars/a.tar")) == 20


def test_what_is_not_there_is_one_sentence(store):
    _, bucket = store
    protocol = bucket.partition("://")[0]
    for folder in (f"{bucket}/nothing", f"{protocol}://no-such-bucket/photos"):
        with pytest.raises(
            BadInput, match=f"'{folder}' does not exist; check the bucket and the path"
        ) as error:
            open_source(folder)
        assert "\n" not in str(error.value)
    with pytest.raises(BadInput, match="holds no tar, Parquet or image file"):
        open_source(f"{bucket}/photos/*.tar")


@pytest.mark.parametrize("status", [401, 403])
def test_a_store_that_refuses_is_one_sentence_at_once(store, status):
    front, bucket = store
    front.status = status
    try:
        with pytest.raises(
            BadInput, match=f"'{bucket}/photos' refuses access .*list and read permission: set "
        ) as error:
            open_source(f"{bucket}/photos")
    finally:
        front.status = 0
    assert "\n" not in str(error.value)


@pytest.mark.azurite
def test_keys_that_lack_or_are_wrong_are_one_sentence(az, azure, monkeypatch):
    wrong = az.direct.replace("Eby8", "AAAA")
    for answer, match in (
        (wrong, "refuses access .* set AZURE_STORAGE_CONNECTION_STRING"),
        ("nonsense", "has no credentials .* set AZURE_STORAGE_CONNECTION_STRING"),
        (None, "has no credentials .* set AZURE_STORAGE_CONNECTION_STRING"),
    ):
        monkeypatch.delenv("AZURE_STORAGE_CONNECTION_STRING")
        if answer:
            monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", answer)
        forget_clients()
        with pytest.raises(BadInput, match=match) as error:
            open_source(f"{azure}/photos")
        assert "\n" not in str(error.value)
        monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", "given back by the next line")


@pytest.mark.parametrize(
    "name, folder, reported",
    [
        ("STORAGE_EMULATOR_HOST", "gs://pictures/photos", "http://127.0.0.1:9"),
        (
            "AZURE_STORAGE_CONNECTION_STRING",
            "az://pictures/photos",
            "AccountName=a;AccountKey=AAAA;BlobEndpoint=http://127.0.0.1:9/a;",
        ),
    ],
)
def test_no_store_at_that_address_is_one_sentence(name, folder, reported, monkeypatch, set_limits):
    set_limits(retry_waits_s=(0.01, 0.01))
    monkeypatch.setenv(name, reported)
    with pytest.raises(BadInput, match=f"'{folder}' did not answer 3 times .*wait") as error:
        open_source(folder)
    assert "\n" not in str(error.value)


@pytest.mark.slow
def test_nodes_embed_from_gs_themselves_through_503s(three_nodes, gs, google, here, tmp_path):
    encoder = make_encoder("efficientnet_lite0")
    folder = tmp_path / "shards"
    assert (
        ray.get_runtime_context().runtime_env["env_vars"]["STORAGE_EMULATOR_HOST"]
        == gs.front.address
    )
    gs.front.refuse = 3
    gs.front.refused = 0
    there = embedding.open_on(three_nodes.address, f"{google}/tars/*.tar")
    gs.front.refuse = 2
    task = EmbeddingTask(there, "efficientnet_lite0", None, folder, shard_size=20)
    found = embedding.embed_on(three_nodes.address, task)
    assert (
        found
        and gs.front.refused == 5
        and not missing_shards(there, encoder, folder, shard_size=20)
    )
    assert np.array_equal(
        embed_images(there, encoder, shards=folder, shard_size=20),
        embed_images(open_source(here / "tars" / "*.tar"), encoder, shard_size=20),
    )

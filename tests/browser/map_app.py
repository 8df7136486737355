"""The map alone, on made-up points, so that its tests and benchmark need no finished run:
`?n=60000&kind=window`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import SimpleNamespace

sys.path[:0] = [str(Path(__file__).resolve().parents[2]), str(Path(__file__).parent)]

import numpy as np  # noqa: E402
import streamlit as st  # noqa: E402
from made_up import fake_points  # noqa: E402
from PIL import Image  # noqa: E402
from streamlit.runtime.scriptrunner import get_script_run_ctx  # noqa: E402


class MadeUp:
    """The attributes given; like a run, and unlike a SimpleNamespace, a key of weak references."""

    def __init__(self, **values):
        vars(self).update(values)


@st.cache_resource(max_entries=3)
def fake_view(n: int) -> MadeUp:
    from coreset_engine.core.types import Dataset, PseudoLabels

    classes = np.arange(n, dtype=np.int64) % 10
    dataset = Dataset(
        f"fake {n}",
        np.array([f"img-{i}" for i in range(n)]),
        f"fake-{n}",
        labels=classes,
        reader=lambda i: Image.new("RGB", (28, 28), (i % 256, 80, 160)),
        classes=tuple(f"class {c}" for c in range(10)),
        columns={"odd": np.array(["=1+1", 'a "b",\nc'], object)[np.arange(n) % 2]},
    )
    rng = np.random.default_rng(3)
    dynamics = SimpleNamespace(
        aum=rng.normal(size=n),
        forgetting=rng.poisson(1.0, n),
        el2n=rng.random(n),
        entropy=rng.random(n),
    )
    run = MadeUp(
        map=fake_points(n),
        dynamics=dynamics,
        pseudo_labels=PseudoLabels(classes, np.ones(n, np.float32), 10),
        stored_as=lambda stage: stage,
    )
    return MadeUp(
        run=run,
        dataset=dataset,
        full=None,
        key_of=lambda stage: f"{stage} of {n}",
        ready=lambda *stages: "coverage" not in stages,
    )


def draw() -> None:
    from ui.map.scatter import Order, Scrub, draw_map

    st.set_page_config(layout="wide")
    ask = st.query_params
    n = int(ask.get("n", 60_000))
    kind = ask.get("kind", "window")
    view = fake_view(n)
    scrub = Scrub(kind, float(ask.get("p", 0.9)), float(ask.get("beta", 0.1)))
    if isinstance(held := st.session_state.get("map"), dict) and held.get("scrub"):
        scrub = Scrub(kind, **held["scrub"])
    order = Order(np.argsort(view.run.dynamics.aum, kind="stable").astype(np.uint32), label="100")
    events = draw_map(
        view,
        key="map",
        colour=ask.get("colour", "membership"),
        orders=[order],
        scrub=scrub,
        groups="pseudo-label",
        bins="AUM",
    )
    heard = {
        "scrub": events.scrub,
        "clicked": events.clicked,
        "hidden": events.hidden,
        "sides": events.sides,
    }
    if events.chosen is not None:
        heard |= {
            "polygon": events.polygon.tolist(),
            "count": len(events.chosen),
            "chosen": events.chosen[:5000].tolist(),
        }
    st.text(json.dumps(heard))
    st.text(f"chosen {0 if events.chosen is None else len(events.chosen)}")


if get_script_run_ctx(suppress_warning=True) is not None:
    draw()
else:
    from ui.server.routes import routes

    app = st.App(Path(__file__), routes=routes)

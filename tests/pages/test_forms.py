"""Forms drawn from config dataclasses: what their fields are called, and how numbers are shown."""

from __future__ import annotations

import pytest
from streamlit.testing.v1 import AppTest

from ui.components.forms import field_title


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("n_heads", "Number of heads"),
        ("min_lr", "Minimum learning rate"),
        ("weight_decay", "Weight decay"),
    ],
)
def test_field_names_are_written_in_words(name, said):
    assert field_title(name) == said


def _small_step() -> None:
    from dataclasses import dataclass

    from coreset_engine.core.config import knob
    from ui.components.forms import config_form

    @dataclass(frozen=True)
    class Training:
        """A field whose step two digits would hide."""

        lr: float = knob(0.001, "step size", low=0.0, high=0.1, step=0.001)

    config_form(Training, key="form")


def test_a_small_number_is_not_shown_as_zero():
    slider = AppTest.from_function(_small_step).run().slider[0]
    assert slider.label == "Learning rate"
    assert slider.proto.format % slider.value == "0.001"

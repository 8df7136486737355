"""Damaged input for every parser in parsers.py: an answer or a sentence, never another exception.

CORESET_FUZZ=N asks for N examples per parser, drawn at random; fuzz.py runs for minutes and keeps
what answers in a new way under corpus/, from where it is read again here.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

import pytest
from damage import ACTIONS, damage
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from parsers import PARSERS, outcome

CORPUS = Path(__file__).with_name("corpus")
EXAMPLES = int(os.environ.get("CORESET_FUZZ", "40"))


@st.composite
def damaged(draw, seeds: list[bytes]) -> bytes:
    """A valid text or file with bytes overwritten, removed, inserted or repeated; or, rarely,
    nothing but noise."""
    data = bytearray(draw(st.sampled_from(seeds)))
    if draw(st.integers(0, 30)) == 0:
        return draw(st.binary(max_size=200))
    for _ in range(draw(st.integers(1, 6))):
        offset = draw(st.integers(0, max(len(data) - 1, 0)))
        junk = draw(
            st.one_of(
                st.binary(min_size=1, max_size=8),
                st.sampled_from(
                    [
                        b"null",
                        b"-1",
                        b"1e999",
                        b"[[[[",
                        b"{}",
                        b'"',
                        b"\\ud800",
                        b"\0",
                        b"\n",
                        b"true",
                        b"9" * 30,
                        b"../",
                    ]
                ),
            )
        )
        action = draw(st.sampled_from([*ACTIONS, "replace"]))
        if action == "replace":  # one value of a JSON text for another
            stop = next((i for i in range(offset, len(data)) if data[i] in b",]}:"), len(data))
            data[offset:stop] = junk
        else:
            damage(data, action, offset, junk)
    return bytes(data)


def tried(name: str, data: bytes) -> str:
    """The outcome, with a folder of its own below the temporary one."""
    folder = Path(tempfile.mkdtemp(prefix="fuzz-"))
    try:
        return outcome(name, data, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.parametrize("name", PARSERS)
def test_a_parser_answers_whatever_it_is_given(name):
    seen = set()

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        derandomize=EXAMPLES <= 40,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(damaged(PARSERS[name][0]))
    def attack(data):
        seen.add(tried(name, data))

    attack()
    full = {tried(name, seed) for seed in PARSERS[name][0]}
    assert any(message.startswith("read: ") for message in full) or name == "archive", full
    assert len(seen | full) > 1, "the damage never shows: nothing is attacked"


@pytest.mark.parametrize("name", PARSERS)
def test_what_once_answered_in_a_new_way_is_answered_again(name):
    kept = sorted((CORPUS / name).glob("*"))
    assert kept, "run tests/robustness/fuzz.py to fill the corpus"
    for path in kept:
        tried(name, path.read_bytes())

"""A pool answers what a real API server answered (see replay.py; left out where there are no recordings)."""

from __future__ import annotations

import pytest

from tests.conformance.kubernetes.replay import RECORDINGS, Replay, numbers

pytestmark = pytest.mark.skipif(not RECORDINGS.is_dir(), reason="no recordings in ../shared/kube")


@pytest.mark.parametrize("number", numbers())
def test_answers_the_same(number: str) -> None:
    assert Replay(number).run().differences == []

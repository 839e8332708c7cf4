"""A pool answers what a real API server answered (see replay.py; left out where there are no recordings)."""

from __future__ import annotations

import pytest

from tests.conformance.kubernetes.replay import RECORDINGS, Replay, numbers

pytestmark = pytest.mark.skipif(not RECORDINGS.is_dir(), reason="no recordings in ../shared/kube")

#: Recordings that are not answered the same yet, and why.
_OPEN = {
    "01": "groups that the pools do not serve: autoscaling, certificates, admission registration and others",
    "02": "an empty status subresource is left out of a definition",
    "06": "no warning of an unknown field below a value of the wrong type",
    "24": "a cause of metadata is told once, and not twice as by a real server",
}


def _marked(number: str) -> object:
    marks = [pytest.mark.xfail(reason=_OPEN[number], strict=True)] if number in _OPEN else []
    return pytest.param(number, marks=marks)


@pytest.mark.parametrize("number", [_marked(number) for number in numbers()])
def test_answers_the_same(number: str) -> None:
    assert Replay(number).run().differences == []

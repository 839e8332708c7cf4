from __future__ import annotations

import resource

import pytest

from controller.bootstrap import _sessions
from controller.device.pool import LIMIT


@pytest.mark.parametrize(
    ("granted", "sessions"), [(1024, 824), (1_000_000, LIMIT), (resource.RLIM_INFINITY, LIMIT), (150, 1)]
)
def test_as_many_sessions_as_the_system_grants_files_and_some_are_left(
    granted: int, sessions: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken: list[tuple[int, int]] = []
    monkeypatch.setattr(resource, "getrlimit", lambda _kind: (100, granted))
    monkeypatch.setattr(resource, "setrlimit", lambda _kind, limits: taken.append(limits))
    assert _sessions() == sessions
    assert taken == [(granted, granted)]

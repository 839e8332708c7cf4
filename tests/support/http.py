"""HTTP in tests: whoever is asked may take as long as a busy machine needs, where httpx by itself waits for 5 s."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx

#: Seconds in which anything answers, on a busy machine.
PATIENCE = 90.0


def get(url: str, **more: Any) -> httpx.Response:
    """See ``httpx.get``."""
    return httpx.get(url, **{"timeout": PATIENCE, **more})


def post(url: str, **more: Any) -> httpx.Response:
    """See ``httpx.post``."""
    return httpx.post(url, **{"timeout": PATIENCE, **more})


@contextmanager
def stream(method: str, url: str, **more: Any) -> Iterator[httpx.Response]:
    """See ``httpx.stream``."""
    with httpx.stream(method, url, **{"timeout": PATIENCE, **more}) as answer:
        yield answer


def client(**settings: Any) -> httpx.Client:
    """See ``httpx.Client``."""
    return httpx.Client(**{"timeout": PATIENCE, **settings})


def async_client(**settings: Any) -> httpx.AsyncClient:
    """See ``httpx.AsyncClient``."""
    return httpx.AsyncClient(**{"timeout": PATIENCE, **settings})

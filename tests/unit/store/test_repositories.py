"""Repositories: methods are described where they are declared, and are called in two ways."""

from __future__ import annotations

import inspect
from contextlib import closing
from typing import get_origin, get_type_hints

import pytest

from controller.store import AsyncStore, Method, Records, Store, open_store

NOUNS = {name: get_origin(kind) for name, kind in get_type_hints(Records).items()}


class Direct(AsyncStore):
    """A store without a thread that notes what is carried out."""

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        self.called = 0

    async def call(self, work):  # type: ignore[no-untyped-def]
        self.called += 1
        return work(self._store)


def _methods(kind: type) -> dict[str, Method[..., object]]:
    return {name: one for name, one in inspect.getmembers_static(kind) if isinstance(one, Method)}


@pytest.mark.parametrize("noun", NOUNS)
def test_every_method_is_described_where_it_is_declared_and_is_there(noun: str) -> None:
    declared = {name: one for name, one in _methods(NOUNS[noun]).items() if not name.startswith("_")}
    assert declared
    assert [name for name, one in declared.items() if not one.__doc__] == []
    with closing(open_store("sqlite://")) as store:
        assert type(getattr(store, noun)) is NOUNS[noun]
        assert all(callable(getattr(store, noun).__getattribute__(name)) for name in declared)


async def test_the_same_method_blocks_on_a_store_and_is_a_coroutine_on_an_async_store() -> None:
    with closing(open_store("sqlite://")) as store:
        later = Direct(store)
        store.switches.set("x", True, "ana")
        waiting = later.switches.is_on("x")
        assert inspect.iscoroutine(waiting)
        assert later.called == 0
        assert await waiting
        assert await later.transaction(_both) == (True, False)
        assert later.called == 2


def _both(store: Store) -> tuple[bool, bool]:
    return store.switches.is_on("x"), store.switches.is_on("y")

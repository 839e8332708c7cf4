"""Runs functions of a test in processes of their own."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import Any, TypeVar

R = TypeVar("R")


def in_processes(function: Callable[..., R], arguments: Sequence[tuple[Any, ...]]) -> list[R]:
    """Results of ``function``, called at the same time in one fresh process for each tuple of arguments."""
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(len(arguments), mp_context=spawn) as pool:
        return [future.result() for future in [pool.submit(function, *each) for each in arguments]]

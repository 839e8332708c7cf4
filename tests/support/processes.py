"""Runs functions of a test in processes of their own, and looks whether processes are there."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

R = TypeVar("R")


def in_processes(function: Callable[..., R], arguments: Sequence[tuple[Any, ...]]) -> list[R]:
    """Results of ``function``, called at the same time in one fresh process for each tuple of arguments."""
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(len(arguments), mp_context=spawn) as pool:
        return [future.result() for future in [pool.submit(function, *each) for each in arguments]]


def is_alive(pid: int) -> bool:
    """Whether a process runs; one that only waits to be noticed by its parent does not."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return ") Z " not in stat


def children(pid: int) -> list[int]:
    """Processes that the main thread of a process has started and not yet seen end."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]

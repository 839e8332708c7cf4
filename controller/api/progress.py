"""Answers that tell how far they are: progress as server-sent events, and in the end the result, or a problem."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable
from typing import Any, TypeVar

from controller.api.problems import Problem, problem_of
from controller.api.services import Body
from controller.api.sse import EventStream, event
from controller.models.errors import MinkaError
from controller.runs.planning.planner import Progress

T = TypeVar("T")

#: Seconds between two progress events.
_POLL = 0.5


class Reading(Body):
    """How many of the selected stations are read and compared; the total is 0 until it is known."""

    done: int
    total: int


def with_progress(
    work: Callable[[Progress], Coroutine[Any, Any, T]], name: str, parts: Callable[[T], Iterable[bytes]]
) -> EventStream:
    """A stream of the progress of ``work``, and of its result.

    Args:
        work: Does it, and counts.
        name: Name of the event with the result.
        parts: The result as JSON on one line.
    """
    return EventStream(_progress_of(work, name, parts))


async def _progress_of(
    work: Callable[[Progress], Coroutine[Any, Any, T]], name: str, parts: Callable[[T], Iterable[bytes]]
) -> AsyncIterator[str]:
    """Progress twice a second, then the result; ends when the client disconnects."""
    seen = Progress()
    making = asyncio.create_task(work(seen))
    try:
        while not making.done():
            yield event("progress", Reading(done=seen.done, total=seen.total))
            await asyncio.wait([making], timeout=_POLL)
        made = making.result()
    except MinkaError as error:
        yield event("problem", Problem.model_validate_json(bytes(problem_of(error).body)))
        return
    finally:
        making.cancel()
    yield f"event: {name}\ndata: "
    for part in parts(made):
        yield part.decode()
    yield "\n"

"""What the rows of a journal say of a transaction."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from controller.models.errors import LeaseLostError
from controller.models.run import JournalEntry, JournalStep
from controller.ports.clock import VirtualClock
from controller.runs.transaction.record import Record, always
from controller.store import AsyncStore, Claim
from tests.unit.plan.samples import NOW

S = JournalStep


async def record_of(*rows: JournalStep | tuple[JournalStep, int] | tuple[JournalStep, dict[str, Any]]) -> Record:
    """A record that was loaded; the number of each row is in its place in the list."""
    entries = []
    for seq, row in enumerate(rows):
        step, rest = row if isinstance(row, tuple) else (row, 0)
        more: dict[str, Any] = rest if isinstance(rest, dict) else {"phase": rest}
        entries.append(JournalEntry(transaction="t", job="j", station="S1", seq=seq, at=NOW, step=step, **more))

    async def find(_transaction: str) -> list[JournalEntry]:
        return entries

    store = SimpleNamespace(journal=SimpleNamespace(find=find))
    claim = SimpleNamespace(transaction="t")
    record = Record(cast("Claim", claim), cast("AsyncStore", store), VirtualClock(), always)
    await record.load()
    return record


def number(row: JournalEntry | None) -> int | None:
    return None if row is None else row.seq


@pytest.mark.parametrize(
    ("rows", "mark", "probe", "edited", "committed", "beginnings"),
    [
        ([], None, None, None, False, 0),
        ([S.OPENED, S.LOCKED], None, None, None, False, 0),
        ([S.LOCKED, S.PROBING], None, 1, None, False, 0),
        ([S.PROBING, S.READ], None, None, None, False, 1),
        ([S.READ, S.EDITING], None, None, 1, False, 1),
        ([S.READ, S.EDITING, S.COMMITTING], 2, None, 2, False, 1),
        ([S.READ, S.EDITING, S.COMMITTING, S.PREPARED], 3, None, 2, True, 1),
        ([S.READ, S.EDITING, S.COMMITTING, S.PREPARED, S.GATED], 4, None, 2, True, 1),
        ([S.READ, S.COMMITTING, S.PREPARED, S.CONFIRMING, S.LOCKED], 3, None, 1, True, 1),
        ([S.READ, S.COMMITTING, S.CANCELLING], 2, None, 1, False, 1),
        ([S.READ, S.EDITING, S.COMMITTING, S.REVERTING], 3, None, 3, False, 1),
        # A new beginning leaves what was before behind.
        ([S.READ, S.EDITING, S.COMMITTING, S.PREPARED, S.CANCELLING, S.READ], None, None, None, False, 2),
        ([S.READ, S.PREPARED, S.READ, S.EDITING], None, None, 3, False, 2),
        ([S.READ, S.COMMITTING, S.READ, S.EDITING, S.COMMITTING], 4, None, 4, False, 2),
        ([S.READ, S.OPERATING, S.FINISHED], None, None, None, False, 1),
    ],
)
async def test_the_newest_beginning_says_what_the_device_may_carry(
    rows: list[JournalStep],
    mark: int | None,
    probe: int | None,
    edited: int | None,
    committed: bool,
    beginnings: int,
) -> None:
    record = await record_of(*rows)
    assert (number(record.mark), number(record.probe), number(record.edited)) == (mark, probe, edited)
    assert (record.committed, record.beginnings) == (committed, beginnings)


async def test_rows_are_counted_and_found_by_step_and_phase() -> None:
    record = await record_of((S.EDITING, 0), (S.EDITING, 1), (S.COMMITTING, 1), (S.EDITING, 1))
    assert [record.count(S.EDITING, phase) for phase in range(3)] == [1, 2, 0]
    assert [number(record.last(S.EDITING, phase)) for phase in range(3)] == [0, 3, None]
    assert (number(record.last(S.COMMITTING, 1)), record.last(S.COMMITTING, 0)) == (2, None)


async def test_the_first_beginning_says_what_was_carried_and_all_say_what_was_wrong() -> None:
    """What only a later one found wrong, an earlier one may have made so."""
    assert (await record_of()).excused == ()
    assert (await record_of(S.LOCKED)).carried == ()
    record = await record_of(
        (S.LOCKED, {"excused": ("a", "b"), "carried": ("/Z",)}),
        (S.READ, {"excused": ("b", "a\nis lost", "c"), "carried": ("/A", "/B"), "detail": "read\nc"}),
        (S.READ, {"excused": ("d", "a\nis lost", "b"), "carried": ("/C",), "detail": "read again\nc"}),
    )
    assert record.carried == ("/A", "/B")
    assert record.excused == ("a\nis lost", "b")


async def test_nothing_is_sent_under_a_lease_that_nobody_believes_in() -> None:
    for believed in (True, False):
        record = await record_of()

        async def alive(answer: bool = believed) -> bool:
            return answer

        record._alive = alive
        if believed:
            await record.check()
        else:
            with pytest.raises(LeaseLostError):
                await record.check()

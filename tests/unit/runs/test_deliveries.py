"""Messages to people: claims of the dead are taken over, what fails is tried again, nothing is posted twice."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import pytest

from controller.models.errors import MinkaError, StoreError
from controller.ports.clock import VirtualClock
from controller.runs.approval.deliveries import Deliveries


@dataclass(frozen=True)
class Message:
    """A message that is to be sent."""

    key: str = "m"
    attempts: int = 0
    claimed: bool = False


@dataclass
class Bench:
    """An outbox of one message, and somebody who gets it."""

    clock: VirtualClock = field(default_factory=VirtualClock)
    message: Message | None = field(default_factory=Message)
    posts: list[float] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)
    fails: bool = False
    away: bool = False
    #: Whether somebody else always claims it first.
    outrun: bool = False

    def __post_init__(self) -> None:
        self.deliveries = Deliveries(self, self._post, self.clock)

    async def pending(self) -> list[Message]:
        return [] if self.message is None else [self.message]

    async def claim(self, seen: Message) -> Message | None:
        self.message = replace(seen, attempts=seen.attempts + 1, claimed=True)
        return None if self.outrun else self.message

    async def release(self, claimed: Message, why: str = "") -> None:
        self.reasons.append(why)
        self.message = replace(claimed, claimed=False)

    async def delivered(self, claimed: Message) -> None:
        if self.away:
            raise StoreError("away")
        self.message = None

    async def _post(self, one: Message) -> None:
        self.posts.append(self.clock.monotonic())
        if self.fails:
            raise MinkaError("nobody is there")

    async def play(self, seconds: int) -> None:
        """A round each second."""
        for _ in range(seconds):
            await self.deliveries.step()
            await self.deliveries.settle()
            await self.clock.advance(1)


async def test_what_fails_is_tried_again_after_a_time_that_doubles_up_to_a_minute() -> None:
    bench = Bench(fails=True)
    start = bench.clock.monotonic()
    await bench.play(300)
    assert [round(at - start) for at in bench.posts] == [0, 1, 3, 7, 15, 31, 63, 123, 183, 243]
    assert bench.reasons == ["nobody is there", *[""] * 9], "the same reason is on record once"
    bench.fails = False
    await bench.play(60)
    assert bench.message is None


async def test_a_claim_of_somebody_else_is_taken_over_after_a_minute_and_not_before() -> None:
    bench = Bench(message=Message(attempts=1, claimed=True))
    await bench.play(60)
    assert bench.posts == []
    await bench.play(1)
    assert (len(bench.posts), bench.message) == (1, None)


@pytest.mark.parametrize("attempts", [0, 2])
async def test_a_new_attempt_of_somebody_else_gets_a_minute_of_its_own(attempts: int) -> None:
    bench = Bench(message=Message(attempts=1, claimed=True))
    await bench.play(50)
    bench.message = Message(attempts=attempts, claimed=True)
    await bench.play(59)
    assert bench.posts == []
    await bench.play(2)
    assert len(bench.posts) == 1


async def test_what_was_posted_is_put_on_record_later_and_not_posted_again() -> None:
    bench = Bench(away=True)
    await bench.play(10)
    assert len(bench.posts) == 1
    assert bench.message is not None
    bench.away = False
    await bench.play(60)
    assert (len(bench.posts), await bench.pending()) == (1, [])


async def test_one_that_comes_again_under_its_key_begins_anew() -> None:
    bench = Bench(fails=True)
    await bench.play(40)
    again, bench.message, bench.fails = bench.message, None, False
    await bench.play(1)
    bench.message, bench.posts = again, []
    await bench.play(1)
    assert len(bench.posts) == 1, "its earlier failures are forgotten"


async def test_what_somebody_else_claims_first_is_neither_posted_nor_put_on_record_as_delivered() -> None:
    bench = Bench(outrun=True)
    await bench.play(1)
    assert (bench.posts, bench.message) == ([], Message(attempts=1, claimed=True))

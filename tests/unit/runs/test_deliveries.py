"""Messages to people: claims of the dead are taken over, what fails is tried again, nothing is posted twice."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace

import pytest

from controller.models.errors import MessageRefusedError, NotTakenError, StoreError
from controller.ports.clock import VirtualClock
from controller.runs.approval.deliveries import Deliveries


@dataclass(frozen=True)
class Message:
    """A message that is to be sent."""

    key: str = "m"
    attempts: int = 0
    claimed: bool = False
    receiver: str = "noc"
    about: str = "i-1"


@dataclass
class Bench:
    """An outbox of one message, and somebody who gets it."""

    clock: VirtualClock = field(default_factory=VirtualClock)
    message: Message | None = field(default_factory=Message)
    posts: list[float] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)
    fails: bool = False
    broken: bool = False
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
        if self.broken:
            raise RuntimeError("a bug")
        if self.fails:
            raise NotTakenError("nobody is there")

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


async def test_a_bug_in_sending_gives_the_claim_back_and_is_tried_again_as_what_fails() -> None:
    bench = Bench(broken=True)
    start = bench.clock.monotonic()
    await bench.play(64)
    assert [round(at - start) for at in bench.posts] == [0, 1, 3, 7, 15, 31, 63]
    assert (bench.message, set(bench.reasons)) == (Message(attempts=7), {""}), "no text of a bug is on record"
    bench.broken = False
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


@dataclass
class Desk:
    """An outbox of several messages, and receivers: some are away, and some refuse a message."""

    waiting: list[Message]
    clock: VirtualClock = field(default_factory=VirtualClock)
    away: set[str] = field(default_factory=set)
    refused: set[str] = field(default_factory=set)
    tried: list[str] = field(default_factory=list)
    #: Those of receivers that never answer.
    hangs: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.deliveries = Deliveries(self, self._post, self.clock)
        self.hangs.set()

    async def pending(self) -> list[Message]:
        return list(self.waiting)

    async def claim(self, seen: Message) -> Message | None:
        return self._becomes(replace(seen, attempts=seen.attempts + 1, claimed=True))

    async def release(self, claimed: Message, why: str = "") -> None:
        self._becomes(replace(claimed, claimed=False))

    async def delivered(self, claimed: Message) -> None:
        self.waiting = [one for one in self.waiting if one.key != claimed.key]

    def _becomes(self, now: Message) -> Message:
        self.waiting = [now if one.key == now.key else one for one in self.waiting]
        return now

    async def _post(self, one: Message) -> None:
        self.tried.append(one.key)
        await self.hangs.wait()
        if one.receiver in self.away:
            raise NotTakenError("away")
        if one.key in self.refused:
            raise MessageRefusedError("too large")

    async def play(self, seconds: int) -> None:
        for _ in range(seconds):
            await self.deliveries.step()
            await self.deliveries.settle()
            await self.clock.advance(1)


async def test_what_is_about_the_same_is_sent_in_order_however_often_it_fails() -> None:
    desk = Desk([Message("began"), Message("worse")], away={"noc"})
    await desk.play(130)
    assert set(desk.tried) == {"began"}, "nobody reads that it became worse before it reads that it began"
    desk.away, desk.tried = set(), []
    await desk.play(60)
    assert (desk.tried, desk.waiting) == (["began", "worse"], [])


async def test_a_message_that_is_refused_for_its_content_holds_up_nothing_else() -> None:
    desk = Desk([Message("began"), Message("worse"), Message("other", about="i-2")], refused={"began"})
    await desk.play(1)
    assert [one.key for one in desk.waiting] == ["began"]
    desk.waiting.append(Message("new", about="i-3"))
    desk.waiting.append(Message("over"))
    await desk.play(1)
    assert [one.key for one in desk.waiting] == ["began"], "what is new does not wait for what was refused"


async def test_a_receiver_that_is_away_is_tried_as_rarely_as_one_message_and_keeps_nobody_waiting() -> None:
    desk = Desk([Message(f"m-{number}", about=f"i-{number}") for number in range(30)], away={"noc"})
    await desk.play(300)
    # Some at once each time, at times that double up to a minute: 0, 1, 3, 7, 15, 31, 63, 123, 183, 243.
    assert len(desk.tried) <= 10 * 20
    before = len(desk.tried)
    desk.waiting.append(Message("elsewhere", receiver="desk"))
    await desk.play(1)
    assert desk.tried[before:] == ["elsewhere"]
    desk.away = set()
    await desk.play(63)
    assert desk.waiting == []


async def test_a_receiver_that_never_answers_has_a_bounded_number_of_posts_under_way() -> None:
    desk = Desk([Message(f"m-{number}", about=f"i-{number}") for number in range(50)])
    desk.hangs.clear()
    for _ in range(5):
        await desk.deliveries.step()
        await asyncio.sleep(0)
    assert desk.tried == [f"m-{number}" for number in range(20)], "the first ones, once each"
    desk.hangs.set()
    await desk.play(3)
    assert desk.waiting == []


async def test_a_claim_of_somebody_else_holds_up_what_comes_after_it() -> None:
    desk = Desk([Message("began", attempts=1, claimed=True), Message("worse")])
    await desk.play(60)
    assert desk.tried == []
    await desk.play(1)
    assert desk.tried == ["began", "worse"]

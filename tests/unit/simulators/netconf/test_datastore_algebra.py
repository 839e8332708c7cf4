"""The algebra of datastores: whatever sessions do in whatever order, contents are those of a plain model.

The model knows a datastore by its label alone, a candidate that follows running as None, and all rules of
RFC 6241 §7.5, §8.3.4.2 and §8.4 about locks and confirmed commits.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from lxml import etree

from simulators.clock import VirtualClock
from simulators.datastore import Config, RpcError
from simulators.history import Origin
from simulators.netconf.datastores import CommitRequest, EditRequest
from simulators.netconf.profiles import PROFILES
from simulators.station import StationSettings
from tests.unit.simulators.netconf.bench import BASE, label_config, make_station

FACTORY = "T-LTE-1"
SESSIONS = st.integers(1, 3)
LABELS = st.sampled_from(["red", "green", "blue"])
TOKENS = st.sampled_from([None, "one", "two"])
DATASTORES = st.sampled_from(["running", "candidate", "startup"])


@dataclass
class Pending:
    backup: str
    session: int
    token: str | None
    deadline: float


@dataclass
class Model:
    running: str = FACTORY
    candidate: str | None = None
    startup: str | None = FACTORY
    pending: Pending | None = None
    locks: dict[str, int] = field(default_factory=dict)
    now: float = 0.0

    def content(self, name: str) -> str | None:
        if name == "candidate":
            return self.running if self.candidate is None else self.candidate
        return self.running if name == "running" else self.startup

    def busy(self, session: int, *names: str) -> bool:
        return any(self.locks.get(name, session) != session for name in names)

    def refuses_claim(self, session: int, token: str | None) -> str | None:
        pending = self.pending
        if pending is None:
            return None if token is None else "invalid-value"
        if token is not None or pending.token is not None:
            return None if token == pending.token else "invalid-value"
        return None if pending.session == session else "in-use"

    def roll_back(self) -> None:
        if self.pending is not None:
            self.running, self.pending = self.pending.backup, None

    def end(self, session: int) -> None:
        for name in [name for name, holder in self.locks.items() if holder == session]:
            self.release(name)
        if self.pending is None or self.pending.session != session:
            return
        if self.pending.token is None:
            self.roll_back()
        else:
            self.pending.session = 0

    def release(self, name: str) -> None:
        del self.locks[name]
        if name == "candidate":
            self.candidate = None


def label_of(config: Config) -> str | None:
    element = config.get((("ManagedElement", FACTORY), "attributes"))
    return None if element is None else element.leaf("userLabel")


def config_of(label: str) -> etree._Element:
    return etree.fromstring(f'<config xmlns="{BASE}">{label_config(label)}</config>')


class Machine(RuleBasedStateMachine):
    """Three sessions at one station with candidate, running and startup."""

    @initialize()
    def start(self) -> None:
        self.clock = VirtualClock()
        self.station = make_station(self.clock, StationSettings(profile=PROFILES["full"]), FACTORY)
        self.stores = self.station.datastores
        self.model = Model()

    def expect(self, refused: str | None, act: Callable[[], None]) -> bool:
        """Act; the error must be the one expected. Tells whether it was accepted."""
        tag = None
        try:
            act()
        except RpcError as error:
            tag = error.tag
        assert tag == refused
        return tag is None

    @rule(session=SESSIONS, label=LABELS, into=st.sampled_from(["running", "candidate"]))
    def edit(self, session: int, label: str, into: str) -> None:
        refused = "in-use" if self.model.busy(session, into) else None
        request = EditRequest(into, config_of(label))
        if self.expect(refused, lambda: self.stores.edit(Origin(session, "x"), request)):
            if into == "running":
                self.model.running = label
            else:
                self.model.candidate = label

    @rule(session=SESSIONS, source=DATASTORES, into=DATASTORES)
    def copy(self, session: int, source: str, into: str) -> None:
        content = self.model.content(source)
        if source == into or content is None or (source, into) == ("running", "candidate"):
            return
        refused = "in-use" if self.model.busy(session, into) else None
        config = self.stores.named(source)
        if self.expect(refused, lambda: self.stores.copy(Origin(session, "x"), into, config)):
            if into == "candidate":
                self.model.candidate = content
            else:
                setattr(self.model, into, content)

    @rule(session=SESSIONS)
    def delete_startup(self, session: int) -> None:
        refused = "in-use" if self.model.busy(session, "startup") else None
        if self.expect(refused, lambda: self.stores.delete_startup(Origin(session, "x"))):
            self.model.startup = None

    @rule(session=SESSIONS)
    def discard(self, session: int) -> None:
        refused = "in-use" if self.model.busy(session, "candidate") else None
        if self.expect(refused, lambda: self.stores.discard(Origin(session, "x"))):
            self.model.candidate = None

    @rule(session=SESSIONS, token=TOKENS)
    def commit(self, session: int, token: str | None) -> None:
        self._commit(session, CommitRequest(persist_id=token))

    @rule(session=SESSIONS, timeout=st.integers(1, 30), persist=TOKENS, token=TOKENS)
    def confirmed_commit(self, session: int, timeout: int, persist: str | None, token: str | None) -> None:
        self._commit(session, CommitRequest(confirmed=True, timeout=timeout, persist=persist, persist_id=token))

    def _commit(self, session: int, request: CommitRequest) -> None:
        model = self.model
        busy = model.busy(session, "candidate", "running")
        refused = "in-use" if busy else model.refuses_claim(session, request.persist_id)
        if not self.expect(refused, lambda: self.stores.commit(Origin(session, "x"), request)):
            return
        if request.confirmed:
            backup = model.running if model.pending is None else model.pending.backup
            token = request.persist or (None if model.pending is None else model.pending.token)
            model.pending = Pending(backup, session, token, model.now + request.timeout)
        else:
            model.pending = None
        model.running = model.content("candidate") or model.running
        model.candidate = None

    @rule(session=SESSIONS, token=TOKENS)
    def cancel(self, session: int, token: str | None) -> None:
        model = self.model
        refused = "in-use" if model.busy(session, "running") else model.refuses_claim(session, token)
        if refused is None and model.pending is None:
            refused = "operation-failed"
        if self.expect(refused, lambda: self.stores.cancel(Origin(session, "x"), token)):
            model.roll_back()

    @rule(session=SESSIONS, name=DATASTORES)
    def lock(self, session: int, name: str) -> None:
        model, pending = self.model, self.model.pending
        foreign = pending is not None and pending.session != session
        denied = (
            name in model.locks
            or (name == "candidate" and model.candidate is not None)
            or (name == "running" and foreign)
        )
        if self.expect("lock-denied" if denied else None, lambda: self.stores.lock(Origin(session, "x"), name)):
            model.locks[name] = session

    @rule(session=SESSIONS, name=DATASTORES)
    def unlock(self, session: int, name: str) -> None:
        refused = None if self.model.locks.get(name) == session else "operation-failed"
        if self.expect(refused, lambda: self.stores.unlock(Origin(session, "x"), name)):
            self.model.release(name)

    @rule(session=SESSIONS)
    def disconnect(self, session: int) -> None:
        self.stores.session_ended(session)
        self.model.end(session)

    @rule(seconds=st.integers(1, 20))
    def wait(self, seconds: int) -> None:
        self.clock.advance(seconds)
        self.model.now += seconds
        if self.model.pending is not None and self.model.pending.deadline <= self.model.now:
            self.model.roll_back()

    @rule(label=LABELS)
    def technician(self, label: str) -> None:
        self.station.datastores.foreign_edit(etree.fromstring(label_config(label)))
        self.model.running = label

    @rule()
    def restart(self) -> None:
        self.stores.restart()
        startup = self.model.startup
        self.model = Model(FACTORY if startup is None else startup, None, startup, None, {}, self.model.now)

    @invariant()
    def contents_are_those_of_the_model(self) -> None:
        for name in ("running", "candidate", "startup"):
            assert label_of(self.stores.named(name)) == self.model.content(name), name
        assert self.stores.awaiting_confirmation == (self.model.pending is not None)
        assert {name: lock.session for name, lock in self.stores.locks} == self.model.locks
        # What is in force is complete, whatever happened.
        self.stores.running.validate()


Machine.TestCase.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)
TestDatastoreAlgebra = Machine.TestCase

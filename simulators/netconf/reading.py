"""Operations that read: get, get-config and get-schema."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lxml import etree

from simulators.datastore import Config, State
from simulators.datastore.xmltext import parse_top_level
from simulators.elements import root
from simulators.netconf import parameters
from simulators.netconf import state as library
from simulators.netconf.filters import XPathFilter
from simulators.netconf.messages import BASE_NS
from simulators.netconf.state import schema_text

if TYPE_CHECKING:
    from simulators.netconf.session import Session


@dataclass(frozen=True, slots=True)
class Shown:
    """What the last ``<get>`` of a session showed: clients ask the same again and again, mostly of the same state."""

    question: tuple[bytes, str]
    running: Config
    state: State
    text: str

    def holds(self, question: tuple[bytes, str], running: Config, state: State) -> bool:
        """Whether it is also the answer to this one."""
        return self.running is running and self.state is state and self.question == question


def get(session: Session, operation: etree._Element) -> str | Iterable[etree._Element]:
    """``<get>``: running and state."""
    station = session.station
    wanted = parameters.read_filter(operation, station.profile)
    if isinstance(wanted, XPathFilter):
        tops = [*_parsed(session, operation, "running", station.state()), *library.state(station, None, session.access)]
        return _data(session, wanted, tops)
    mode = parameters.with_defaults(operation, station.profile)
    running, state = station.datastores.running, station.state()
    question = b"" if wanted is None else etree.tostring(wanted), mode
    if session.shown is None or not session.shown.holds(question, running, state):
        text = running.to_text(filter=wanted, with_defaults=mode, state=state, access=session.access)
        session.shown = Shown(question, running, state, text)
    found = session.shown.text
    more = library.state(station, wanted, session.access)
    return found + "".join(etree.tostring(element, encoding="unicode") for element in more)


def get_config(session: Session, operation: etree._Element) -> str | Iterable[etree._Element]:
    """``<get-config>``."""
    profile = session.station.profile
    source = parameters.datastore(operation, "source", profile)
    wanted = parameters.read_filter(operation, profile)
    if isinstance(wanted, XPathFilter):
        return _data(session, wanted, _parsed(session, operation, source, None))
    mode = parameters.with_defaults(operation, profile)
    return session.station.datastores.named(source).to_text(filter=wanted, with_defaults=mode, access=session.access)


def _parsed(session: Session, operation: etree._Element, source: str, state: State | None) -> list[etree._Element]:
    mode = parameters.with_defaults(operation, session.station.profile)
    config = session.station.datastores.named(source)
    return parse_top_level(config.to_text(with_defaults=mode, state=state, access=session.access))


def _data(session: Session, wanted: XPathFilter, tops: Iterable[etree._Element]) -> list[etree._Element]:
    data = root(BASE_NS, "data")
    data.extend(wanted.select(tops, session.station.schema))
    return [data]


def get_schema(session: Session, operation: etree._Element) -> Iterable[etree._Element]:
    """``<get-schema>``."""
    return [schema_text(session.station, operation)]

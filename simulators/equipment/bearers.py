"""Bearers and handovers behind the traffic: how many are set up, lost and moved, by what is left of a cell (pure).

On LTE a bearer is an E-RAB with a QCI, on NR a data radio bearer with a QoS flow of the 5QI of the same number.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple

from simulators.equipment.fault_kinds import Service
from simulators.equipment.traffic import Flow

#: The QCI of voice (TS 23.203).
VOICE = 1


@dataclass(frozen=True, slots=True)
class _Kind:
    """Bearers of one QCI.

    Attributes:
        setups: How often an active user sets one up, per hour.
        initial: Part of these that come with the user's context; the others are added later.
        active: Part of the time in which an active user has data in one.
        lost: Part of these set up that are lost when all is well.
    """

    setups: float
    initial: float
    active: float
    lost: float


_KINDS: Mapping[int, _Kind] = MappingProxyType(
    {
        VOICE: _Kind(1.5, 0.25, 1.5 * 90 / 3600, 0.004),
        5: _Kind(12.0, 1.0, 0.02, 0.001),
        8: _Kind(4.0, 0.5, 0.20, 0.003),
        9: _Kind(12.0, 1.0, 0.35, 0.003),
    }
)


@dataclass(frozen=True, slots=True)
class _Quality:
    """Quality of a radio: success of setups and handovers, and the factor on losses."""

    setups: float
    handovers: float
    lost: float


_QUALITIES: Mapping[Service, _Quality] = MappingProxyType(
    {Service.FULL: _Quality(0.996, 0.98, 1.0), Service.DEGRADED: _Quality(0.96, 0.92, 8.0)}
)
#: Part of the setups refused, and how much more is lost, where nothing of what a tenant wants is given.
_REFUSED, _LOST_MORE = 0.5, 4.0
#: Handovers of a connected user per hour, and the part of them between cells of a station that has several.
_MOVES, _WITHIN = 3.0, 0.6


class Bearers(NamedTuple):
    """What became of bearers of one QCI in a while: tried and set up, lost while active, seconds with data in them."""

    initial: tuple[float, float]
    added: tuple[float, float]
    lost: float
    seconds: float


def bearers(flow: Flow, service: Service, seconds: float) -> Iterator[tuple[int, Bearers]]:
    """The bearers of a flow in a time, by QCI; without a path to the core there are no attempts."""
    quality = _QUALITIES.get(service, _QUALITIES[Service.FULL])
    lacking = 1 - flow.given / flow.wanted if flow.wanted > 0 else 0.0
    succeeds = flow.borne * quality.setups * (1 - _REFUSED * lacking)
    users = flow.users if flow.connected else 0.0
    for qci, kind in _KINDS.items():
        tried = users * kind.setups * seconds / 3600
        initial, added = tried * kind.initial, tried * (1 - kind.initial)
        lost = tried * succeeds * kind.lost * quality.lost * (1 + _LOST_MORE * lacking)
        active = flow.borne * users * kind.active * seconds if flow.wanted > 0 else 0.0
        yield qci, Bearers((initial, initial * succeeds), (added, added * succeeds), lost, active)


def active(flow: Flow) -> Iterator[tuple[int, float]]:
    """How many bearers of a flow have data in them at a moment, by QCI: what an outage that begins then takes down."""
    for qci, kind in _KINDS.items():
        yield qci, flow.borne * flow.users * kind.active if flow.connected and flow.wanted > 0 else 0.0


@dataclass(frozen=True, slots=True)
class Handovers:
    """Handovers out of a cell, tried and successful: to cells of the same station, and to others."""

    within: tuple[float, float]
    out: tuple[float, float]


def handovers(users: float, cells: int, service: Service, seconds: float) -> Handovers:
    """The handovers of the connected users of a cell in a while; ``cells`` is how many the station has on air."""
    succeeds = _QUALITIES.get(service, _QUALITIES[Service.FULL]).handovers
    moves = users * _MOVES * seconds / 3600
    within = moves * _WITHIN if cells > 1 else 0.0
    return Handovers((within, within * succeeds), (moves - within, (moves - within) * succeeds))

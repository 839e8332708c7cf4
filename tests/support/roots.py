"""Roots of tests: what an alarm follows from, of all that may be its root."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from types import MappingProxyType

from controller.intent.roots import Fed, Roots, explained
from controller.models.alarm import Alarm
from controller.models.network import Network


def root_of(
    network: Network,
    alarm: Alarm,
    roots: Collection[Alarm],
    fed: Mapping[str, Fed] = MappingProxyType({}),
) -> Alarm | None:
    """The alarm that this one follows from (see ``explained``); None if it is a root itself."""
    return explained(network, alarm, Roots(network, roots, [alarm.station], fed)).root

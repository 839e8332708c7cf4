"""The kinds of devices, and all that Minka decides by the kind alone.

Each rule stands once, as a field of ``KindRules``. None has a default, so a new kind has to answer all of them, and
mypy names the place. Where the kind decides what is done, and not only whether, the code has a ``match`` that ends in
``assert_never``. Nothing else compares kinds, or asks whether a device is among those of one
(``tests/unit/models/test_device_kinds.py``).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal, assert_never


@dataclass(frozen=True, slots=True, kw_only=True)
class KindRules:
    """What follows from the kind of a device.

    Attributes:
        by_default: It is meant where no kind is named: in selectors, in figures, and of a device that nobody knows.
        has_cells: Cells are served there, so that faults, work and consent are about cells of its own. With other
            devices, all cells of the stations behind them suffer.
        has_place: It stands at a site or in a region by itself, and not where other devices happen to be.
        is_way: Stations depend on it: it is changed before them for what comes, and after them for what goes.
        carries_links: All core links of the stations at its site go through it, in a part of it for each tenant. So
            those behind it are watched where something goes, and nothing may come and go by one change.
        placed: It runs on a pool that may change: that is worked out before changes of other devices are.
        hosts: Functions run on nodes of it.
        in_cloud: It is reached over a Kubernetes API. What goes where depends on all pools, functions and packages.
        comes_along: A plan for stations changes it too, where they need that.
        takes_along: A plan for it changes others too, as stations that live in it or routers on their way.
        goes_first: Changes of other devices need what its change brings, so that it goes before all of them.
        bound_behind: Holds and freezes of what depends on it bind it as well.
        by_agreement: An agreement on cells lets tenants in there, and not a contract of the cloud.
        disclosed: A tenant with a part in it is told its id.
        faults_hidden: Tenants never see its faults, so that these may say in words why it can't be read.
        notifies: It tells by itself that something changed; a command line does not.
        tells_power: It may say by itself on which power it runs (o-ran-hardware, o-ran-supervision).
        identity: By what it proves who it is.
    """

    by_default: bool
    has_cells: bool
    has_place: bool
    is_way: bool
    carries_links: bool
    placed: bool
    hosts: bool
    in_cloud: bool
    comes_along: bool
    takes_along: bool
    goes_first: bool
    bound_behind: bool
    by_agreement: bool
    disclosed: bool
    faults_hidden: bool
    notifies: bool
    tells_power: bool
    identity: Literal["host key", "certificate"]


_STATION = KindRules(
    by_default=True,
    has_cells=True,
    has_place=True,
    is_way=False,
    carries_links=False,
    placed=False,
    hosts=False,
    in_cloud=False,
    comes_along=False,
    takes_along=True,
    goes_first=False,
    bound_behind=False,
    by_agreement=True,
    disclosed=True,
    faults_hidden=False,
    notifies=True,
    tells_power=True,
    identity="host key",
)
_ROUTER = KindRules(
    by_default=False,
    has_cells=False,
    has_place=True,
    is_way=True,
    carries_links=True,
    placed=False,
    hosts=False,
    in_cloud=False,
    comes_along=True,
    takes_along=False,
    goes_first=False,
    bound_behind=False,
    by_agreement=True,
    disclosed=False,
    faults_hidden=False,
    notifies=False,
    tells_power=False,
    identity="host key",
)
_FUNCTION = KindRules(
    by_default=False,
    has_cells=False,
    has_place=False,
    is_way=True,
    carries_links=False,
    placed=True,
    hosts=False,
    in_cloud=True,
    comes_along=False,
    takes_along=True,
    goes_first=False,
    bound_behind=True,
    by_agreement=False,
    disclosed=False,
    faults_hidden=False,
    notifies=True,
    tells_power=False,
    identity="certificate",
)
_POOL = KindRules(
    by_default=False,
    has_cells=False,
    has_place=True,
    is_way=False,
    carries_links=False,
    placed=False,
    hosts=True,
    in_cloud=True,
    comes_along=True,
    takes_along=True,
    goes_first=True,  # no pod may return to a node that is not ready
    bound_behind=False,
    by_agreement=False,
    disclosed=False,
    faults_hidden=True,
    notifies=True,
    tells_power=False,
    identity="certificate",
)


class DeviceKind(StrEnum):
    """Kind of a device."""

    STATION = "station"
    ROUTER = "router"
    FUNCTION = "function"
    POOL = "pool"

    @property
    def rules(self) -> KindRules:
        """What follows from it."""
        match self:
            case DeviceKind.STATION:
                return _STATION
            case DeviceKind.ROUTER:
                return _ROUTER
            case DeviceKind.FUNCTION:
                return _FUNCTION
            case DeviceKind.POOL:
                return _POOL
            case _:
                assert_never(self)


#: Kinds that a selector or a figure names, where it means them.
NAMED_KINDS = tuple(kind for kind in DeviceKind if not kind.rules.by_default)
#: The kind that is meant where none is named.
(DEFAULT_KIND,) = (kind for kind in DeviceKind if kind.rules.by_default)

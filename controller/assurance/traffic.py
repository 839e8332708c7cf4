"""Whether a tenant's user plane carries traffic, by its station's counters in a full period. Pure.

It is asked where a station does not tell the state of its user plane: the official EP_NgU has none. Volume in a
period proves that it carries. None does not prove the contrary, since a tenant may have nobody there; only where the
tenant's users set up sessions meanwhile, something is wrong.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from controller.models.health import ServiceState
from controller.models.measurement import Period
from controller.models.network import Rat, Snssai, Tenant
from controller.nrm.profiles import link_state, links, rat_of
from controller.nrm.tree import Observed, path_of

#: Volume for users, by PLMN (TS 28.552, TS 32.130): by cell, and of a user plane with an endpoint of its own, where
#: nothing counts sessions. Established sessions, by slice.
_VOLUMES, _SESSIONS = ("drb.pdcpsduvolumedl", "qosflow.pdcpsduvolumedl"), "sm.pdusessionsetupsucc"


def untold_user_plane(observed: Observed) -> bool:
    """Whether a station has user-plane links whose state it does not report."""
    return any(
        link.kind.user_plane and link_state(observed, link.path) is ServiceState.UNKNOWN
        for link in links(observed.tree)
    )


def carried(tenant: Tenant, rat: Rat | None, periods: Sequence[Period]) -> ServiceState:
    """Whether links of a technology's node carried a tenant's packets in its station's longest complete period."""
    whole = [period for period in periods if not period.suspect]
    if not whole:
        return ServiceState.UNKNOWN
    period = max(whole, key=lambda one: one.end - one.begin)
    objects = [counters for name, counters in period.values.items() if rat_of(path_of(name)) is rat]
    volume = [value for counters in objects for name in _VOLUMES for value in _values(counters, name, tenant.plmns)]
    if sum(volume) > 0:
        return ServiceState.UP
    sessions = sum(value for counters in objects for value in _values(counters, _SESSIONS, map(_name, tenant.slices)))
    return ServiceState.DOWN if volume and sessions > 0 else ServiceState.UNKNOWN


def _values(counters: Mapping[str, float], measurement: str, of: Iterator[str] | Sequence[str]) -> Iterator[float]:
    """Subcounters of a measurement of some PLMNs or slices."""
    wanted = frozenset(of)
    for counter, value in counters.items():
        if counter.lower().startswith(f"{measurement}.") and not wanted.isdisjoint(counter.split(".")):
            yield value


def _name(slice_: Snssai) -> str:
    return f"{slice_.sst}-{slice_.sd}"

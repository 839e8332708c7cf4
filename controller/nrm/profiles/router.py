"""Profiles of routers: how a platform writes the VRFs of a site, and the router's own default routes.

Decisions:
    - A tenant's VRF bears its id, the host's ``host-`` and its VLAN; the route distinguisher is ``65000:VLAN`` (a
      private AS, RFC 6996).
    - On the uplink, as on the standby, the VRF's link to the next router is link-local (RFC 3927) and the same
      everywhere, since nothing else needs its addresses.
    - The standby's route is a floating one. Which of the two counts is people's own switch, like a cell's
      administrative state: it is set when a route is made and never repaired.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from controller.models.facts import RouterFact, RouterFacts, TransportFact
from controller.nrm.profiles.base import Output, number
from controller.nrm.schema import LeafRole, LeafSpec, Mutability, NodeRole, NodeSpec
from controller.nrm.tree import LeafName, Path, Value

#: Address in each tenant's VRF and next hop, over the uplink and over the standby.
UPLINK_SIDE = ("169.254.0.2/30", "169.254.0.1")
STANDBY_SIDE = ("169.254.0.6/30", "169.254.0.5")
#: Administrative distance of an active route, and of one that waits (a floating route).
PREFERRED, WAITING = "1", "250"
_EVERYWHERE = "0.0.0.0/0"
_AS = 65000


def _text(name: str, label: str) -> LeafSpec:
    return LeafSpec(name, label=label)


_ROUTE = NodeSpec(
    "Route",
    "",
    keys=("network", "way"),
    leaves=(number("distance", "distance", default=PREFERRED, initial=True, roles=(LeafRole.DISTANCE,)),),
    role=NodeRole.ROUTE,
    label="route",
)
_VRF = NodeSpec(
    "Vrf",
    "",
    keys=("name",),
    leaves=(
        _text("description", "description"),
        _text("rd", "route distinguisher"),
        LeafSpec("ipv4", label="IPv4"),
    ),
    children=(_ROUTE,),
    member="vrf",
    label="VRF",
)
#: Settings of people: they shut interfaces down and filter them, and Minka leaves that alone.
_PEOPLES = (
    LeafSpec("shutdown", operational_intent=True, label="shut down"),
    LeafSpec("accessIn", initial=True, label="access list in"),
    LeafSpec("accessOut", initial=True, label="access list out"),
)
_SUB_INTERFACE = NodeSpec(
    "SubInterface",
    "",
    keys=("name",),
    leaves=(
        _text("description", "description"),
        number("vlan", "VLAN"),
        _text("vrf", "VRF"),
        _text("address", "address"),
        *_PEOPLES,
    ),
    label="interface",
)
_PORT = replace(_SUB_INTERFACE, name="Port", management_path=True, label="port")
#: VRFs and sub-interfaces are managed; ports, interfaces outside any VRF and own routes are the management path.
ROUTER = NodeSpec(
    "Router",
    "",
    keys=("name",),
    children=(_VRF, _SUB_INTERFACE, _PORT, replace(_ROUTE, management_path=True)),
    mutability=Mutability.CREATE_ONLY,
    label="router",
)


@dataclass(frozen=True, slots=True)
class RouterProfile:
    """What a platform's configuration can express.

    Attributes:
        virtual: Whether VRFs and VLANs are made by configuration; else the system below makes them, the
            configuration only speaks of them, and an entry that says nothing is none.
    """

    name: str
    virtual: bool


#: Profiles of routers by platform.
ROUTER_PROFILES = {profile.name: profile for profile in (RouterProfile("cisco_ios", True), RouterProfile("frr", False))}


def render_router(profile: RouterProfile, facts: RouterFacts) -> Output:
    """The desired tree of a router."""
    own, transports = facts
    out = Output(own.router)
    router = out.add(ROUTER, "", (own.router,), owners=own.owners)
    for transport in transports:
        _render_transport(profile, own, transport, router, out)
    for way, distance in zip(own.gateways, (PREFERRED, WAITING), strict=False):
        out.add(ROUTER.child_by_name["Route"], router, (_EVERYWHERE, way), {"distance": distance}, own.owners)
    return out


def _render_transport(
    profile: RouterProfile, own: RouterFact, transport: TransportFact, router: Path, out: Output
) -> None:
    name, owners = transport.vrf, transport.owners
    leaves: dict[LeafName, Value] = {"rd": f"{_AS}:{transport.vlan}", "ipv4": "enabled"} if profile.virtual else {}
    vrf = out.add(_VRF, router, (name,), leaves, owners)
    sides = [(own.uplink, *UPLINK_SIDE, PREFERRED)]
    if own.standby:
        sides.append((own.standby, *STANDBY_SIDE, WAITING))
    for network in transport.networks:
        for _, _, way, distance in sides:
            out.add(_ROUTE, vrf, (network, way), {"distance": distance}, owners)
    ends = [(port, address) for port, address, _, _ in sides]
    for port, address in (*ends, (own.downlink, transport.station_side)):
        leaves = {"description": name, "address": address}
        if profile.virtual:
            leaves |= {"vlan": str(transport.vlan), "vrf": name}
        out.add(_SUB_INTERFACE, router, (f"{port}.{transport.vlan}",), leaves, owners)

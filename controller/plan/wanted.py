"""What one device should carry by the intent, station or router."""

from __future__ import annotations

from controller.models.facts import Intent
from controller.models.network import Network
from controller.nrm.profiles import Rendered, render, render_routing


def wanted_by(intent: Intent, network: Network, device: str) -> Rendered:
    """The tree that a device should carry.

    A station without facts should carry nothing: what is ours there is orphaned.
    """
    profiles = network.profiles_of(device)
    if device in intent.routers:
        return render_routing(profiles, intent.routers[device])
    facts = intent.facts.get(device, ())
    return render(profiles, facts) if facts else Rendered({}, {}, ())

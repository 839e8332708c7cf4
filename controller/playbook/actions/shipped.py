"""All shipped actions, and those of installed packages."""

from __future__ import annotations

from functools import lru_cache

from controller.playbook.actions.configuration import CHANGING
from controller.playbook.actions.equipment import EQUIPMENT
from controller.playbook.actions.kpis import KPI
from controller.playbook.actions.neighbour_kpis import NEIGHBOUR_KPI
from controller.playbook.actions.people import ASKING
from controller.playbook.actions.retirement import NETWORK_STEPS
from controller.playbook.actions.routers import ROUTING
from controller.playbook.actions.software import SOFTWARE
from controller.playbook.actions.state import LOOKING
from controller.playbook.language.registry import Action, Registry, with_third_parties

_ALL = (
    *CHANGING,
    *EQUIPMENT,
    *SOFTWARE,
    *NETWORK_STEPS,
    *ROUTING,
    *LOOKING,
    *ASKING,
    *KPI,
    *NEIGHBOUR_KPI,
)
#: Shipped actions by name.
SHIPPED: dict[str, Action] = {one.name: one for one in _ALL}


@lru_cache(maxsize=1)
def registry() -> Registry:
    """All actions that this process knows.

    Raises:
        InputError: An installed package offers something wrong.
    """
    return with_third_parties(SHIPPED)

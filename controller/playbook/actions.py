"""All shipped actions, and those of installed packages."""

from __future__ import annotations

from functools import lru_cache

from controller.playbook.asking import ASKING
from controller.playbook.changing import CHANGING
from controller.playbook.equipment import EQUIPMENT
from controller.playbook.kpi import KPI
from controller.playbook.looking import LOOKING
from controller.playbook.neighbour_kpi import NEIGHBOUR_KPI
from controller.playbook.network_steps import NETWORK_STEPS
from controller.playbook.registry import Action, Registry, with_third_parties
from controller.playbook.routing import ROUTING
from controller.playbook.software import SOFTWARE

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

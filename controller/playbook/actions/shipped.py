"""All shipped actions, and those of installed packages."""

from __future__ import annotations

from functools import lru_cache

from controller.playbook.actions.configuration import CONFIGURATION
from controller.playbook.actions.equipment import EQUIPMENT
from controller.playbook.actions.functions import FUNCTIONS
from controller.playbook.actions.kpis import KPIS
from controller.playbook.actions.people import PEOPLE
from controller.playbook.actions.retirement import RETIREMENT
from controller.playbook.actions.routers import ROUTERS
from controller.playbook.actions.software import SOFTWARE
from controller.playbook.actions.state import STATE
from controller.playbook.language.registry import Action, Registry, with_third_parties

_ALL = (*CONFIGURATION, *EQUIPMENT, *SOFTWARE, *RETIREMENT, *ROUTERS, *FUNCTIONS, *STATE, *PEOPLE, *KPIS)
#: Shipped actions by name.
SHIPPED: dict[str, Action] = {one.name: one for one in _ALL}


@lru_cache(maxsize=1)
def registry() -> Registry:
    """All actions that this process knows.

    Raises:
        InputError: An installed package offers something wrong.
    """
    return with_third_parties(SHIPPED)

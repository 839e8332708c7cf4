"""Each action that a module of the shipped ones defines is shipped."""

from __future__ import annotations

import pkgutil
from importlib import import_module

from controller.playbook import actions
from controller.playbook.actions.shipped import SHIPPED
from controller.playbook.language.registry import Action


def test_each_action_of_a_module_is_shipped_under_its_name() -> None:
    modules = [import_module(f"{actions.__name__}.{one.name}") for one in pkgutil.iter_modules(actions.__path__)]
    defined = [value for module in modules for value in vars(module).values() if isinstance(value, Action)]
    assert {one.name: one for one in defined} == SHIPPED
    assert len({id(one) for one in defined}) == len(SHIPPED)

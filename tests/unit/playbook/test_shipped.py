"""Each action that a module of the shipped ones makes is offered."""

from __future__ import annotations

import pkgutil
from importlib import import_module

from controller.playbook import actions
from controller.playbook.actions.shipped import registry
from controller.playbook.language.registry import Action


def test_no_action_is_forgotten_in_the_tuple_of_its_module() -> None:
    modules = [import_module(f"{actions.__name__}.{found.name}") for found in pkgutil.iter_modules(actions.__path__)]
    made = {one.name for module in modules for one in vars(module).values() if isinstance(one, Action)}
    assert made == {*registry().actions}
    assert made

"""The playbooks that are in force, with the actions that there are."""

from __future__ import annotations

from functools import lru_cache

from controller.models.definitions import Definitions
from controller.playbook.actions.shipped import registry
from controller.playbook.language.library import Library
from controller.store import Store


@lru_cache(maxsize=2)
def library_of(definitions: Definitions) -> Library:
    """The playbooks of a version of the definitions."""
    return Library.of(definitions, registry())


def library_in_force(store: Store) -> Library:
    """The playbooks that are in force. Raises NotFoundError before any were put in force."""
    return library_of(store.definitions.get())

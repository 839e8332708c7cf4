"""Definitions: the rules, playbooks and KPIs that are in force, and putting others in force."""

from __future__ import annotations

import hashlib
from typing import Annotated, Any

from pydantic import AwareDatetime, Field

from controller.api.auth import Router, needs
from controller.api.services import Backend, Body, Services
from controller.inventory.definitions import read_definitions, uploaded
from controller.models.definitions import MOST_DEFINITIONS, Definitions
from controller.models.errors import ConflictError, InputError
from controller.models.people import Permission, Person
from controller.models.rule import RuleMode
from controller.remediation.definitions import check, left_out
from controller.remediation.rules import Rule, rules_in_force
from controller.remediation.trust import NOT_AS_PROMOTED, demote, withdraw
from controller.store import Store

router = Router(prefix="/v1/definitions", tags=["definitions"])


class DefinitionsView(Body):
    """The version of rules, playbooks and KPIs that is in force: all processes act by it, and by nothing else.

    ``files`` has the SHA-256 of each file by its path, as in ``rules/core-link-down.yaml``. ``left_out`` has all
    problems of files by which nothing acts. ``differ`` are files that the folders of the API's settings have otherwise;
    ``unread`` says why these folders could not be read.
    """

    number: int
    digest: str
    by: str
    reason: str
    at: AwareDatetime
    files: dict[str, str]
    left_out: dict[str, tuple[str, ...]]
    differ: tuple[str, ...]
    unread: str = ""


class NewDefinitions(Body):
    """All files by path, and why. ``replaces`` is the digest of the version that they are to replace, if given."""

    files: dict[str, str] = Field(min_length=1, max_length=MOST_DEFINITIONS)
    reason: str = Field(min_length=1, max_length=2000)
    replaces: str = Field(default="", max_length=64)


class PutDefinitions(DefinitionsView):
    """The version that is in force now.

    ``changed`` are files that differ from the version before. ``observing`` are rules that were promoted and only
    observe from now on, since they or their playbooks are not as they were.
    """

    changed: tuple[str, ...]
    observing: tuple[str, ...]


@router.get("")
def show(backend: Backend, _: Annotated[Person, needs(Permission.OVERSEE)]) -> DefinitionsView:
    """The version that is in force, with what is wrong with its files."""
    return DefinitionsView(**_view(backend, backend.store.definitions.get()))


@router.put("")
def put(asked: NewDefinitions, backend: Backend, who: Annotated[Person, needs(Permission.NETWORK)]) -> PutDefinitions:
    """Put rules, playbooks and KPIs in force, all together or none. Runs under way keep the text they began with.

    Rules that were promoted, and that these files change or leave out, are demoted: they observe until a person
    promotes them again, also where the files of before come back.
    """
    files = uploaded(asked.files)
    check(files)

    def replaced(store: Store) -> tuple[Definitions, Definitions, tuple[str, ...]]:
        before, acting = store.definitions.get(), _acting(store)
        if asked.replaces not in ("", before.digest):
            raise ConflictError(f"version {before.number} of {before.by} is in force by now: see it, and load again")
        now = store.definitions.put(files, by=who.name, reason=asked.reason)
        left = acting.keys() - _acting(store).keys()
        remaining = {rule.name for rule in rules_in_force(store)}
        for name in sorted(left):
            if name in remaining:
                demote(store, acting[name], NOT_AS_PROMOTED, backend.clock.now())
            else:
                withdraw(store, name, "it left the definitions in force")
        return before, now, tuple(sorted(left))

    before, now, observing = backend.store.transaction(replaced)
    changed = now.files.differences(before.files)
    return PutDefinitions(**_view(backend, now), changed=changed, observing=observing)


def _acting(store: Store) -> dict[str, Rule]:
    """Rules that may ask or act somewhere because they were promoted, by name."""
    rules = {rule.name: rule for rule in rules_in_force(store)}
    grants = (one for one in store.rules.grants() if one.rule in rules)
    return {one.rule: rules[one.rule] for one in grants if one.mode_of(rules[one.rule].digest) is not RuleMode.OBSERVE}


def _view(backend: Services, in_force: Definitions) -> dict[str, Any]:
    settings, unread = backend.settings, ""
    differ: tuple[str, ...] = ()
    try:
        differ = read_definitions(settings.rules, settings.playbooks, settings.kpis).differences(in_force.files)
    except InputError as error:
        unread = error.message
    return {
        "number": in_force.number,
        "digest": in_force.digest,
        "by": in_force.by,
        "reason": in_force.reason,
        "at": in_force.at,
        "files": {path: hashlib.sha256(text.encode()).hexdigest() for path, text in in_force.files.texts.items()},
        "left_out": dict(left_out(in_force)),
        "differ": differ,
        "unread": unread,
    }

"""Consent goes by what a playbook takes away in addition: nobody is asked where a cell serves nobody anyhow."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import cast

import pytest

from controller.intent import compile_intent
from controller.inventory.load import load_network
from controller.models.approval import RunConstraints
from controller.models.health import Health, LinkHealth, ServiceState
from controller.models.network import HOST, Network, network_digest
from controller.models.run import LedgerEntry
from controller.models.sharing import ActionClass
from controller.nrm.profiles import cell_of, cells, render
from controller.plan import seal
from controller.playbook.actions.shipped import registry
from controller.playbook.engine.consents import playbook_constraints
from controller.playbook.language.library import Library
from controller.playbook.language.registry import Context, LinkBehind, ServiceLoss
from controller.runs.approval.consent import Effect, effect_of_outage
from tests.support.soak import SOAK

ROOT = Path(__file__).parents[3]
NOW = datetime(2026, 6, 15, 12, tzinfo=UTC)
UP, DOWN, UNKNOWN = ServiceState.UP, ServiceState.DOWN, ServiceState.UNKNOWN
PAIRS = frozenset({("n78-1", "bitel"), ("n78-1", "claro"), ("L1", "bitel")})


def health(states: Mapping[str, ServiceState], *links: tuple[str, ServiceState]) -> Health:
    """A station whose cells and tenants' core links are so."""
    known = tuple(
        LinkHealth(path=f"/{n}", tenant=name, kind="S1C", state=state) for n, (name, state) in enumerate(links)
    )
    return Health(station="S1", at=NOW, reachable=True, cells=dict(states), links=known)


def effect(found: Health) -> Effect:
    """What an outage of all cells does."""
    taken = ServiceLoss.of(PAIRS, found)
    return effect_of_outage("S1", taken.serving, taken.idle, frozenset())


@pytest.mark.parametrize(
    ("states", "links", "tenants"),
    [
        ({"n78-1": UP, "L1": UP}, (), {"bitel", "claro"}),
        ({"n78-1": DOWN, "L1": UP}, (), {"bitel"}),
        ({"n78-1": DOWN, "L1": DOWN}, (), set()),
        ({"n78-1": UNKNOWN, "L1": DOWN}, (), {"bitel", "claro"}),
        ({"L1": DOWN}, (), {"bitel", "claro"}),  # a cell that was not told
        ({"n78-1": UP, "L1": UP}, (("claro", DOWN),), {"bitel"}),
        ({"n78-1": UP, "L1": UP}, (("claro", DOWN), ("claro", UNKNOWN)), {"bitel", "claro"}),
        ({"n78-1": UP, "L1": UP}, (("claro", DOWN), ("", UP)), {"bitel", "claro"}),  # one that nobody has alone
        ({"n78-1": UP, "L1": UP}, (("", DOWN),), {"bitel", "claro"}),
    ],
)
def test_only_whom_a_cell_serves_or_may_serve_is_asked(
    states: dict[str, ServiceState], links: tuple[tuple[str, ServiceState], ...], tenants: set[str]
) -> None:
    found = health(states, *links)
    done = effect(found)
    assert {tenant for tenant, _ in done.asks} == done.interrupted == tenants
    assert done.tenants == {"bitel", "claro"}, "all of them are told"
    lost = {(cell, tenant) for cell, tenant in PAIRS if found.serves(cell, tenant)}
    assert done.spared == PAIRS - lost


class Router:
    """A router with routes of two tenants, and core links of theirs behind it."""

    def __init__(self, **links: ServiceState) -> None:
        self.links = links

    async def ledger(self) -> dict[str, LedgerEntry]:
        owners = (("bitel",), ("claro",), ("host",))
        return {f"/{n}": LedgerEntry(station="RT", path=f"/{n}", owners=who) for n, who in enumerate(owners)}

    async def links_behind(self) -> tuple[LinkBehind, ...]:
        return tuple(
            LinkBehind("S1", f"/{name}", (name.partition("_")[0],), state) for name, state in self.links.items()
        )


@pytest.mark.parametrize(
    ("links", "serving"),
    [
        ({"bitel_1": DOWN, "bitel_2": DOWN, "claro_1": DOWN}, set()),
        ({"bitel_1": DOWN, "bitel_2": UP, "claro_1": DOWN}, {"bitel"}),
        ({"bitel_1": DOWN, "bitel_2": UNKNOWN, "claro_1": DOWN}, {"bitel"}),
        ({"claro_1": DOWN}, {"bitel"}),  # a tenant of whom nothing is known
    ],
)
async def test_a_way_is_switched_without_asking_whose_core_links_behind_it_are_all_down(
    links: dict[str, ServiceState], serving: set[str]
) -> None:
    takes = registry().action("switch-router-path").takes
    assert takes is not None
    taken = await takes(cast("Context", Router(**links)), None)
    assert taken is not None
    assert {tenant for _, tenant in taken.serving} == serving
    assert {tenant for _, tenant in taken.idle} == {"bitel", "claro"} - serving


# ------------------------------------------------------------------- all of peru


@pytest.fixture(scope="module")
def peru() -> Network:
    """The shipped network of 3,100 stations."""
    return load_network(ROOT / "deploy" / "networks" / "peru")


@pytest.fixture(scope="module")
def ledgers(peru: Network) -> dict[str, dict[str, LedgerEntry]]:
    """What is ours on each station, in the soak, else on each tenth one, once all of it was applied."""
    facts = compile_intent(peru, NOW.date()).facts
    assert len(facts) == 3100
    chosen = {"PE-CUS-0001", *sorted(facts)[:: 1 if SOAK else 10]}
    rendered = {station: render(peru.profiles_of(station), facts[station]) for station in chosen}
    return {
        station: {
            path: LedgerEntry(station=station, path=path, owners=owners, leaves={})
            for path, owners in found.owners.items()
        }
        for station, found in rendered.items()
    }


def test_a_lost_unit_is_reset_unattended_in_all_of_peru_and_one_that_serves_in_none(
    peru: Network, ledgers: dict[str, dict[str, LedgerEntry]]
) -> None:
    """A unit whose cells are off is reset without asking anybody; while one of them serves, tenants are asked."""
    plan = seal(created=NOW, network="peru", network_digest=network_digest(peru), selector="*", changes=())
    loaded = Library.in_folder(ROOT / "playbooks", registry()).load("reset-radio-unit")

    def constraints(station: str, outage: ServiceLoss | None) -> RunConstraints:
        ledger = {station: ledgers[station]}
        known = {station: outage} if outage is not None else {}
        values = {"station": station, "unit": "ru-1", "cell": ""}
        args = loaded, registry(), values, peru, plan, [station], ledger
        return playbook_constraints(*args, automatic=True, outages=known)

    def outages(off: ServiceState) -> Iterator[tuple[str, ServiceLoss]]:
        for station in sorted(ledgers):
            ours = [entry.cell for entry in cells({path: {} for path in ledgers[station]})]
            first = frozenset(ours[:1])
            states = dict.fromkeys(ours, UP) | dict.fromkeys(first, off)
            nodes = ((cell_of(path), entry.owners) for path, entry in ledgers[station].items())
            pairs = {(cell, owner) for cell, owners in nodes if cell in first for owner in owners if owner != HOST}
            yield station, ServiceLoss.of(pairs, health(states))

    before = [station for station in ledgers if not constraints(station, None).requirements]
    lost = {station: constraints(station, outage) for station, outage in outages(DOWN)}
    serving = [station for station, outage in outages(UP) if not constraints(station, outage).requirements]
    unattended = [station for station, found in lost.items() if not found.requirements]
    print(f"radio-unit-lost unattended: {len(before)} of {len(ledgers)} before, {len(unattended)} now")
    assert (len(before), len(unattended), len(serving)) == (0, len(ledgers), 0)
    for station, found in lost.items():
        nodes = ((cell_of(path), entry.owners) for path, entry in ledgers[station].items())
        first = next(iter(found.spared[station]))[0]
        expected = {(cell, owner) for cell, owners in nodes if cell == first for owner in owners if owner != HOST}
        assert set(found.spared[station]) == expected
        assert not any(group.interrupts for group in found.groups)
    assert {one.action for one in constraints("PE-CUS-0001", None).requirements} == {ActionClass.INTERRUPT}

"""Chance against the engine (see ``machine``); and each trouble once without chance.

The seed stands in the report's header; ``MINKA_SEED=N`` plays the same rounds again (CONTRIBUTING.md).
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator

import pytest
import structlog
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from controller.drivers.fake import FaultKind
from controller.models.run import Policy, Strategy
from tests.chaos.conftest import SEED
from tests.chaos.faults.machine import TROUBLES, Chance
from tests.support.soak import SOAK


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    yield
    structlog.reset_defaults()


@pytest.mark.parametrize("policy", list(Policy))
def test_each_trouble(policy: Policy) -> None:
    """What chance seldom hits: each act that counts goes wrong once, or as often as it is tried, at all but one."""
    strategy = Strategy(policy=policy, canary=0, wave_size=4, confirm_timeout=20, check_timeout=1)
    for operation, wrong in TROUBLES:
        machine = Chance()
        machine.begin()
        times = 9 if (operation, wrong) == ("confirm", FaultKind.LIE) else 1
        machine.change(27, 1, True, {"S1", "S2", "S4"}, strategy, (("", None), 0))
        machine._break(["S2", "S4"], operation, wrong, 0, times)
        machine.bench.advance(4)
        for name, process in tuple(machine.bench.processes.items()):
            if not process.life.thawed.is_set():
                machine.bench.kill(name)
        machine.start_worker(0.0)
        machine.bench.advance(25)
        try:
            machine.go_on()
            machine.teardown()
        except AssertionError as error:
            raise AssertionError(f"{operation}, {wrong}: {error}") from error


@pytest.mark.timeout(36000 if SOAK else 600)
def test_chance() -> None:
    seed(SEED)(Chance)
    run_state_machine_as_test(
        Chance,
        settings=settings(
            max_examples=int(os.environ.get("MINKA_ROUNDS", "1000" if SOAK else "6")),
            stateful_step_count=60,
            deadline=None,
            database=None,
            # To shrink takes longer than a test may; the seed plays the same rounds again.
            phases=[Phase.generate, Phase.shrink] if SOAK else [Phase.generate],
            suppress_health_check=list(HealthCheck),
            print_blob=True,
        ),
        _min_steps=25,
    )

"""``python -m tests.integration.cloud.mortal_worker FOLDER AT [after]``: a worker that kills itself (``kill -9``).

It does so at its AT-th request to a station or a pool's API, before it is sent, or ``after`` it was answered; 0 for
never. The record is that of FOLDER, where it also counts its requests (``calls``, a byte each).
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from controller.drivers.devices import AllDevices
from controller.drivers.kubernetes.api import PoolApi
from controller.drivers.kubernetes.devices import CloudDevices
from controller.drivers.kubernetes.target import KubernetesTarget
from controller.drivers.netconf.transport import Transport
from controller.drivers.registry import target_of
from controller.models.settings import Settings
from controller.playbook.actions.shipped import registry
from controller.playbook.engine.context import ActionServices
from controller.playbook.engine.job import PlaybookProcedure, procedures
from controller.ports.clock import SystemClock
from controller.ports.queue import FakeWakeups
from controller.ports.secrets import FakeSecrets
from controller.ports.webhook import FakeWebhook
from controller.runs.loop import WorkerLoop
from controller.runs.planning.planner import Planner
from controller.runs.procedures import Tools
from controller.store import LoopStore, open_store
from tests.support.secrets import LocalSecrets


class Death:
    """What waits at one request."""

    def __init__(self, folder: Path, at: int, *, after: bool) -> None:
        self._calls = os.open(folder / "calls", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        self._at, self._after, self._count = at, after, 0

    def over(self, owner: type, name: str) -> None:
        """Wait at a coroutine function."""
        asked: Callable[..., Any] = getattr(owner, name)

        async def mortal(*given: Any, **named: Any) -> Any:
            os.write(self._calls, b".")
            self._count += 1
            due = self._count == self._at
            if due and not self._after:
                os.kill(os.getpid(), signal.SIGKILL)
            answer = await asked(*given, **named)
            if due:
                os.kill(os.getpid(), signal.SIGKILL)
            return answer

        setattr(owner, name, mortal)


async def work(folder: Path) -> None:
    """Work as a worker does, until killed."""
    clock = SystemClock()
    store = LoopStore(open_store(Settings(home=folder).database, clock))
    secrets = FakeSecrets(json.loads((folder / "pools.json").read_text(encoding="utf-8")))
    cloud = partial(CloudDevices, secrets, clock)
    devices = AllDevices(LocalSecrets(), rpc_timeout=10, connect_timeout=5, others={KubernetesTarget: cloud})
    world = ActionServices(store, Planner(store, devices, clock, target_of), FakeWebhook(), clock)
    of = procedures(PlaybookProcedure(world, registry()))
    tools = Tools(store, devices, clock, target_of, procedure_of=of)
    await WorkerLoop("worker", tools, FakeWakeups()).run(asyncio.Event())


if __name__ == "__main__":
    home, number, *words = sys.argv[1:]
    death = Death(Path(home), int(number), after=words == ["after"])
    death.over(PoolApi, "_send")
    death.over(Transport, "answer")
    asyncio.run(work(Path(home)))

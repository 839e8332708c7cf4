"""The upgrade of a cluster: its nodes one after the other, cordoned, drained as disruption budgets allow, restarted."""

from __future__ import annotations

from collections.abc import Callable

from simulators.clock import Clock
from simulators.cloud.behaviour.cleanup import Disruptions, guards
from simulators.cloud.behaviour.controller import Controller, Key, Object, deleting, key_of
from simulators.cloud.behaviour.scheduler import over
from simulators.cloud.server.cluster import Cluster

#: Seconds between two tries to drain a node, and that its kubelet is silent while it is replaced.
RETRY, RESTART = 5.0, 15.0


class Upgrade(Controller):
    """Upgrades the nodes of a pool; a node whose pods may not be disrupted is waited for.

    Args:
        fall_silent: Stops a kubelet, whose containers run on.
        come_back: Starts it.

    Attributes:
        version: Target version of the nodes; empty without an upgrade.
    """

    def __init__(
        self, cluster: Cluster, clock: Clock, fall_silent: Callable[[str], None], come_back: Callable[[str], None]
    ) -> None:
        super().__init__(cluster, clock)
        self.version = ""
        self._fall_silent = fall_silent
        self._come_back = come_back
        self._silent: set[str] = set()

    def changed(self, event: str, kind: str, obj: Object) -> None:
        """See ``Controller.changed``; it works by itself."""

    def begin(self, version: str) -> None:
        """Upgrade all nodes, or go on to another version."""
        self.version = version
        self.enqueue(("", ""))

    def reconcile(self, key: Key) -> None:
        """Continue with the first node that is not upgraded yet."""
        old = [node for node in self.cluster.list("nodes") if _version(node) != self.version]
        if not old:
            self.version = ""
            return
        node = key_of(old[0])
        if node[1] in self._silent:
            return
        self.change("nodes", node, lambda found: found["spec"].update(unschedulable=True))
        pods = [pod for pod in self.cluster.list("pods") if pod["spec"].get("nodeName") == node[1] and not over(pod)]
        for pod in pods:
            if not deleting(pod) and self._may_go(pod):
                self.delete("pods", key_of(pod))
        if pods:
            self.enqueue(key, RETRY)
            return
        self._silent.add(node[1])
        self._fall_silent(node[1])
        self.clock.call_later(RESTART, lambda: self._restarted(node))

    def _restarted(self, node: Key) -> None:
        version = self.version
        self._silent.discard(node[1])
        self._come_back(node[1])
        self.change(
            "nodes", node, lambda found: found["status"]["nodeInfo"].update(kubeletVersion=version), status=True
        )
        self.change("nodes", node, lambda found: found["spec"].pop("unschedulable", None))
        self.enqueue(("", ""))

    def _may_go(self, pod: Object) -> bool:
        """Whether the budgets allow a disruption; each allows one less afterwards."""
        budgets = [one for one in self.cluster.list(Disruptions.KIND, key_of(pod)[0]) if guards(one, pod)]
        if any(budget.get("status", {}).get("disruptionsAllowed", 0) < 1 for budget in budgets):
            return False
        for budget in budgets:
            self.change(Disruptions.KIND, key_of(budget), _one_less, status=True)
        return True


def _one_less(budget: Object) -> None:
    budget["status"]["disruptionsAllowed"] -= 1


def _version(node: Object) -> str:
    return str(node["status"]["nodeInfo"]["kubeletVersion"])

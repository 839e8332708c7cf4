"""A pool's API server, as its own controllers use it: in process, at once, and by the same rules as over HTTP."""

from __future__ import annotations

import random
from collections.abc import Callable

from simulators.clock import Clock
from simulators.cloud.language.decoding import settle
from simulators.cloud.language.kinds import Kind
from simulators.cloud.language.rules import SYSTEM_PRIORITIES
from simulators.cloud.language.schema import copied
from simulators.cloud.server import access, aggregation
from simulators.cloud.server.admission import Admission
from simulators.cloud.server.answers import Response
from simulators.cloud.server.definitions import Definitions, terminating
from simulators.cloud.server.registry import Registry
from simulators.cloud.server.requests import Request
from simulators.cloud.server.selectors import label_selector, matching
from simulators.cloud.server.store import Object, Store
from simulators.cloud.server.tokens import AccountTokens
from simulators.cloud.server.verbs import DeleteOptions, Options, Verbs

_NAMESPACES = ("default", "kube-node-lease", "kube-public", "kube-system")

#: The version whose recorded answers these are.
VERSION = "v1.36.0"

Callback = Callable[[str, str, Object], None]


class Cluster:
    """One pool.

    Kinds are called ``pods`` or ``nfdeployments.workload.nephio.org``. Objects that are given out are not to be
    changed; ``edited`` makes a copy. All methods raise StatusError as the API answers: 404, 409, 422 and so on.
    """

    def __init__(self, name: str, clock: Clock, seed: str = "") -> None:
        self.name = name
        #: Of Kubernetes, as the API server says.
        self.version = VERSION
        self.clock = clock
        self.store = Store(clock)
        self.registry = Registry()
        chance = random.Random(f"{seed}:{name}")  # noqa: S311 (names, no secrets)
        self.access = access.Access(self.store, AccountTokens(self.store, clock, chance))
        self.verbs = Verbs(self.store, self.registry, clock, chance)
        ask = Admission(self.store, self.registry, self.access, self.verbs)
        self.verbs.mutating += [ask.namespace, ask.pod, ask.node]
        self.verbs.validating += [ask.creation, ask.immortal, ask.default_class, ask.escalation]
        self.verbs.validating += [ask.quota]
        self.verbs.ends = {"namespaces": _namespace_ends, Definitions.KIND: terminating}
        #: What is served beside the Kubernetes API on the same address, by the beginning of its paths.
        self.services: dict[str, Callable[[Request], Response]] = {}
        self.log_of: Callable[[str, str, str], str] = lambda *_: ""
        self._definitions = Definitions(self.store, self.registry, self.verbs)
        aggregation.aggregate(self.store)
        self._bootstrap()

    # ------------------------------------------------------------------ reading

    def get(self, kind: str, namespace: str, name: str) -> Object | None:
        """The object, or None."""
        return self.store.get(self._kind(kind).storage, (namespace, name))

    def list(self, kind: str, namespace: str = "", labels: str = "") -> list[Object]:
        """Objects by namespace and name, all or those that a label selector chooses."""
        found = self.store.list(self._kind(kind).storage, namespace)
        if not labels:
            return found
        selector = label_selector(labels)
        return [obj for obj in found if matching(obj["metadata"].get("labels") or {}, selector)]

    def subscribe(self, callback: Callback) -> Callable[[], None]:
        """Call with ``ADDED``, ``MODIFIED`` or ``DELETED``, kind and object for each write; the answer ends it."""
        return self.store.subscribe(lambda event: callback(event.change.value, event.kind, event.object))

    # ------------------------------------------------------------------ writing

    def create(self, kind: str, obj: Object, *, manager: str = "kube-controller-manager") -> Object:
        """Create an object; give what is stored."""
        served = self._kind(kind)
        stored = self.verbs.create(
            served, obj.get("metadata", {}).get("namespace", ""), self._complete(served, obj), Options(manager=manager)
        )
        self.settle()
        return stored

    def update(self, kind: str, obj: Object, *, manager: str = "kube-controller-manager") -> Object:
        """Replace an object; its status stays where that is written by itself."""
        return self._write(kind, obj, "", manager)

    def update_status(self, kind: str, obj: Object, *, manager: str = "kube-controller-manager") -> Object:
        """Replace an object's status."""
        return self._write(kind, obj, "status", manager)

    def delete(
        self, kind: str, namespace: str, name: str, *, grace: int | None = None, propagation: str = "Background"
    ) -> Object:
        """Delete an object, or begin to."""
        wanted = DeleteOptions(grace=grace, propagation=propagation)
        gone, _ = self.verbs.delete(self._kind(kind), namespace, name, wanted, Options())
        self.settle()
        return gone

    @staticmethod
    def edited(obj: Object) -> Object:
        """A copy that may be changed."""
        return copied(obj)

    def logs(self, namespace: str, pod: str, container: str) -> str:
        """What a container has written; whoever plays the nodes sets ``log_of``."""
        return self.log_of(namespace, pod, container)

    def settle(self) -> None:
        """Let what the API server itself does with definitions come to its end."""
        self._definitions.settle()

    def _write(self, name: str, obj: Object, subresource: str, manager: str) -> Object:
        kind = self._kind(name)
        metadata = obj["metadata"]
        stored, _ = self.verbs.update(
            kind,
            metadata.get("namespace", ""),
            metadata["name"],
            lambda _: self._complete(kind, obj),
            Options(manager=manager),
            subresource=subresource,
        )
        self.settle()
        return stored

    def _kind(self, name: str) -> Kind:
        return self.registry.known(name)

    @staticmethod
    def _complete(kind: Kind, obj: Object) -> Object:
        """With kind and defaults, as if it had come over HTTP."""
        whole: Object = {"apiVersion": kind.api_version, "kind": kind.kind, **copied(obj)}
        settle(kind, whole)
        kind.default(whole)
        return whole

    def _bootstrap(self) -> None:
        for namespace in _NAMESPACES:
            self.create("namespaces", {"metadata": {"name": namespace}})
        for kind, obj in access.bootstrap():
            self.create(kind, obj)
        for role in aggregation.bootstrap():
            self.create(access.CLUSTER_ROLES, role)
        for name, value in SYSTEM_PRIORITIES.items():
            head = {"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "metadata": {"name": name}}
            self.create("priorityclasses.scheduling.k8s.io", {**head, "value": value})


def _namespace_ends(namespace: Object, now: str) -> Object:
    """It stays until it is empty: its controller says so at ``/finalize``."""
    metadata = {"deletionTimestamp": now, **namespace["metadata"]}
    return {**namespace, "metadata": metadata, "status": {**namespace.get("status", {}), "phase": "Terminating"}}

"""The kinds that a pool serves: those that every cluster has, and those of its custom resource definitions."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache

import orjson

from simulators.cloud.language.kinds import BUILT_IN, Kind
from simulators.cloud.language.status import Cause
from simulators.cloud.server.store import Object

#: Groups in the order in which a cluster names them.
_FIRST = (
    "apiregistration.k8s.io",
    "apps",
    "events.k8s.io",
    "authentication.k8s.io",
    "authorization.k8s.io",
    "autoscaling",
    "batch",
    "certificates.k8s.io",
    "networking.k8s.io",
    "policy",
    "rbac.authorization.k8s.io",
    "storage.k8s.io",
    "admissionregistration.k8s.io",
    "apiextensions.k8s.io",
    "scheduling.k8s.io",
    "coordination.k8s.io",
    "node.k8s.io",
    "discovery.k8s.io",
    "resource.k8s.io",
    "flowcontrol.apiserver.k8s.io",
)


class Registry:
    """Kinds by group, version and plural; several versions of one kind share what is stored."""

    def __init__(self) -> None:
        self._kinds: dict[tuple[str, str, str], Kind] = {}
        for kind in BUILT_IN:
            self._kinds[kind.group, kind.version, kind.plural] = kind

    def find(self, group: str, version: str, plural: str) -> Kind | None:
        """The kind at a path, or None."""
        return self._kinds.get((group, version, plural))

    def known(self, name: str) -> Kind:
        """The kind called ``plural`` or ``plural.group``, in the version that is stored.

        Raises:
            KeyError: the pool has no such kind.
        """
        plural, _, group = name.partition(".")
        found = [kind for kind in self._kinds.values() if (kind.plural, kind.group) == (plural, group)]
        if not found:
            raise KeyError(f"no kind {name} is served here")
        return next((kind for kind in found if kind.version == kind.storage_version), found[0])

    def add(self, crd: Object) -> None:
        """Serve what a definition describes."""
        self.drop(crd)
        for kind in _defined(orjson.dumps(crd["spec"])):
            self._kinds[kind.group, kind.version, kind.plural] = kind

    def drop(self, crd: Object) -> None:
        """Serve it no more."""
        group, plural = crd["spec"]["group"], crd["spec"]["names"]["plural"]
        for key in [key for key in self._kinds if key[0] == group and key[2] == plural]:
            del self._kinds[key]

    def clashes(self, crd: Object) -> list[Cause]:
        """Names that another definition of the group has: of resources (with short ones), and of kinds and lists."""
        group, names = crd["spec"]["group"], crd["spec"]["names"]
        others = [kind for kind in self.of_group(group) if kind.plural != names["plural"]]
        resources = {name for one in others for name in (one.plural, one.singular, *one.short_names)}
        kinds = {name for one in others for name in (one.kind, one.list_kind)}
        return [
            Cause(f"{field[0].upper()}{field[1:]}Conflict", f'"{name}" is already in use', field)
            for field, taken in (
                *((field, resources) for field in ("plural", "singular", "shortNames")),
                *((field, kinds) for field in ("kind", "listKind")),
            )
            for name in ([names[field]] if isinstance(names.get(field), str) else names.get(field) or ())
            if name in taken
        ]

    # ---------------------------------------------------------------- discovery

    def groups(self) -> list[str]:
        """Named groups, those of every cluster first."""
        there = {group for group, _, _ in self._kinds if group}
        return [group for group in _FIRST if group in there] + sorted(there - set(_FIRST))

    def versions(self, group: str) -> list[str]:
        """Versions of a group, the preferred one first."""
        found = {kind.version for kind in self.of_group(group)}
        return sorted(found, key=_precedence, reverse=True)

    def of_group(self, group: str, version: str = "") -> Iterator[Kind]:
        """Kinds of a group, or of one version of it."""
        return (kind for kind in self._kinds.values() if kind.group == group and version in {"", kind.version})

    def all(self) -> Iterable[Kind]:
        """All kinds and versions."""
        return self._kinds.values()


@lru_cache(maxsize=64)
def _defined(spec: bytes) -> tuple[Kind, ...]:
    """The kinds of a definition; pools that have the same one share them, with their schemas."""
    return Kind.of_crd({"spec": orjson.loads(spec)})


def _precedence(version: str) -> tuple[int, int, int, str]:
    """v2 before v1 before v1beta1 before v1alpha1 before anything else."""
    found = re.fullmatch(r"v(\d+)(?:(alpha|beta)(\d+))?", version)
    if found is None:
        return (0, 0, 0, version)
    stage = {None: 3, "beta": 2, "alpha": 1}[found[2]]
    return (stage, int(found[1]), int(found[3] or 0), version)

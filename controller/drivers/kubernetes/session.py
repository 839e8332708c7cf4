"""A session to a function or pool: device trees and edits over the Kubernetes APIs of its pools.

Edits are tried at once (``dryRun=All``) and carried out at the commit. Nothing is locked: each write says which version
of the object it was worked out from, and is refused where that is not the latest.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeGuard, TypeVar

import structlog

from controller.drivers.decoding import decoded
from controller.drivers.kubernetes.api import Answer, BusyError, ForeignWriterError, InvalidError, PoolApi, StaleError
from controller.drivers.kubernetes.codec import (
    FUNCTION_LABEL,
    NAMESPACE,
    NF_DEPLOYMENT,
    POD,
    FunctionObjects,
    Manager,
    Object,
    Objects,
    Place,
    PoolObjects,
    held_up_by,
    writers_of,
)
from controller.drivers.kubernetes.ims import hardware_alarms
from controller.drivers.kubernetes.target import KubernetesTarget
from controller.drivers.protocols import Capabilities, Check, Observed
from controller.models.cloud import HardwareAlarm
from controller.models.equipment import POD_UNIT, Equipment, Operation, OperationKind, UnitState
from controller.models.errors import (
    AuthenticationError,
    DeviceError,
    DeviceRefusedError,
    HostKeyError,
    NotPermittedError,
    SessionLostError,
    UnreachableError,
    in_words,
)
from controller.models.plan import Edit
from controller.nrm.apply import apply_edits
from controller.nrm.profiles import root_spec
from controller.nrm.profiles.function import PROFILE as FUNCTION_PROFILE
from controller.nrm.schema import spec_of
from controller.nrm.tree import LeafName, Path, Tree
from controller.ports.clock import Clock

log = structlog.get_logger()

_T = TypeVar("_T")

#: Why pools that answer are not read: people have to see to it.
_DENIED = (AuthenticationError, HostKeyError, NotPermittedError)
#: How often to try a write to an object whose status keeps changing.
_TRIES = 5
#: Objects above which they are decoded off the loop.
_MANY = 250
#: Seconds between two checks whether a deleted object is gone.
_PAUSE = 1.0


@dataclass(slots=True)
class _Write:
    """A write to one object.

    Attributes:
        manifest: What to apply; None to delete it.
        by_hand: Fields to change that another writer set by an edit: they are set back by an edit.
    """

    place: Place
    manifest: dict[str, Any] | None
    by_hand: tuple[tuple[str, ...], ...] = ()


@dataclass
class _Staged:
    """Edits that were tried but not yet carried out."""

    tree: Tree
    edited: dict[Path, set[LeafName]] = field(default_factory=dict)
    writes: list[_Write] = field(default_factory=list)


class CloudSession:
    """One session; implements ``controller.drivers.protocols.DeviceSession`` and ``Equipped``.

    Nothing is locked: the lease keeps our own sessions apart, and object versions keep out all others. An API server
    takes nothing back by itself, and keeps every write.

    Args:
        target: The function or pool.
        apis: Its pools' APIs.
        clock: For pauses.
        patience: Seconds in which deleted objects should be gone.
        ims: The O2 IMS of a pool.
    """

    def __init__(
        self,
        target: KubernetesTarget,
        apis: Mapping[str, PoolApi],
        clock: Clock,
        patience: float,
        ims: PoolApi | None = None,
    ) -> None:
        self._target = target
        self._ims = ims
        self._root = root_spec(target.profiles)
        self._objects: Objects = objects_of(target)
        self._apis = apis
        self._clock = clock
        self._patience = patience
        self._found: dict[Place, Object] = {}
        self._seen: Tree = {}
        self._dark: dict[str, str] | None = None
        self._staged: _Staged | None = None
        #: Objects that others created just before us.
        self._foreign: set[str] = set()
        self._allowed = _once(None)

    @property
    def capabilities(self) -> Capabilities:
        """See ``DeviceSession.capabilities``."""
        return Capabilities(
            candidate=False,
            confirmed_commit=False,
            writable_running=True,
            startup=False,
            validate=False,
            atomic=False,
        )

    async def discard(self) -> None:
        """Forget the edits that were not committed."""
        self._staged = None

    async def read(self) -> Observed:
        """See ``DeviceSession.read``; a pool that does not answer the first read is left out for the whole session.

        Raises:
            UnreachableError: No pool answers.
            AuthenticationError, HostKeyError, NotPermittedError: No pool is read, each for that reason.
            SessionLostError: A pool that answered before no longer answers.
        """
        first = self._dark is None
        dark = dict(self._dark or {})
        asked = [pool for pool in self._apis if pool not in dark]
        answers = await asyncio.gather(*(self._read(pool) for pool in asked), return_exceptions=True)
        found: dict[Place, Object] = {}
        for pool, answer in zip(asked, answers, strict=True):
            if isinstance(answer, DeviceError) and first and len(self._apis) > 1:
                dark[pool] = answer.message
            elif isinstance(answer, DeviceError):
                raise answer if first else _lost(answer)
            elif isinstance(answer, BaseException):
                raise answer
            else:
                found |= answer
        if len(dark) == len(self._apis):
            if len({type(one) for one in answers}) == 1 and isinstance(answers[0], _DENIED):
                raise answers[0]
            raise UnreachableError(next(iter(dark.values()), f"no pool is within reach of {self._target.device}"))
        observed = await decoded(len(found) > _MANY, lambda: self._observed(found, dark))
        self._found, self._dark, self._seen = found, dark, observed.tree
        return await self._with_hardware(observed)

    def _observed(self, found: Mapping[Place, Object], dark: Mapping[str, str]) -> Observed:
        try:
            return self._objects.observed(found, dark)
        except (ArithmeticError, AttributeError, KeyError, TypeError, ValueError) as error:
            unfit = SessionLostError(f"{self._target.device}: objects are not as their kinds are: {in_words(error)}")
        raise unfit

    async def _with_hardware(self, observed: Observed) -> Observed:
        """Add the alarms of a pool's O2 IMS; an unreachable O2 IMS says nothing about the pool."""
        if self._ims is None or observed.cluster is None:
            return observed
        hardware: tuple[HardwareAlarm, ...] | None = None
        reason = ""
        try:
            hardware = await hardware_alarms(self._ims, {node.id for node in observed.cluster.nodes})
        except DeviceError as error:
            reason = error.message
        cluster = observed.cluster.model_copy(update={"hardware": hardware, "ims": reason})
        return replace(observed, cluster=cluster)

    async def _read(self, pool: str) -> dict[Place, Object]:
        found = await asyncio.gather(*(self._at(place) for place in self._objects.asked(pool)))
        return {place: one for part in found for place, one in part.items()}

    async def _at(self, asked: Place) -> dict[Place, Object]:
        """All objects of a place, each by its own place."""
        api = self._apis[asked.pool]
        if asked.single:
            one = await api.get(asked)
            return {} if one is None else {asked: one}
        found = {}
        for one in await api.list(asked):
            metadata = one["metadata"]
            found[asked._replace(namespace=str(metadata.get("namespace", "")), name=str(metadata["name"]))] = one
        return found

    # ------------------------------------------------------------------------ writing

    async def edit(self, edits: Sequence[Edit]) -> None:
        """Collect edits, and let each pool check them (``dryRun=All``).

        Raises:
            DeviceRefusedError: A pool refuses them or would change them, or another writer keeps writing these fields.
            UnreachableError: A pool does not answer.
        """
        for edit in edits:
            self._reachable(edit.path)
        before = self._seen if self._staged is None else self._staged.tree
        wanted = apply_edits(self._root, before, edits)
        edited = {} if self._staged is None else {path: set(names) for path, names in self._staged.edited.items()}
        for edit in edits:
            edited.setdefault(edit.path, set()).update(edit.before, edit.after)
        staged = _Staged(wanted, edited, list(self._writes(wanted)))
        made = {write.place.name for write in staged.writes if write.place.kind is NAMESPACE and write.manifest}
        tried: dict[Place, Object] = {}
        for write in staged.writes:
            if write.place.namespace not in made:  # nothing can be tried in a namespace that does not exist yet
                tried[write.place] = await self._try(write, edited) or {}
            elif write.manifest is not None:
                tried[write.place] = write.manifest
        await self._settle(staged, {place: one for place, one in {**self._found, **tried}.items() if one})
        self._staged = staged

    def _reachable(self, path: Path) -> None:
        reason = (self._dark or {}).get(self._objects.pool_of(path))
        if reason:
            raise UnreachableError(reason)

    def _writes(self, wanted: Tree) -> Iterable[_Write]:
        """Writes for the objects that differ, in the order in which objects are created.

        A function is deleted after its other objects: once it is being deleted it counts as gone, so none may be left.
        """
        before, after = self._objects.wanted(self._seen), self._objects.wanted(wanted)
        for place, manifest in after.items():
            if before.get(place) != manifest or place not in self._found:
                yield _Write(place, manifest)
        gone = [place for place in reversed(before) if place not in after and place in self._found]
        for place in sorted(gone, key=lambda place: place.kind is NF_DEPLOYMENT):
            yield _Write(place, bare(place) if place.kind.lent else None)

    async def _try(self, write: _Write, edited: Mapping[Path, set[LeafName]]) -> Object | None:
        """The object as it would be; None where it would be gone."""
        api, place, live = self._apis[write.place.pool], write.place, self._found.get(write.place)
        if live is not None and "deletionTimestamp" in live["metadata"]:
            raise DeviceRefusedError(f"{place} is being deleted: wait until it is gone")
        if write.manifest is None:
            await self._deletable(api, place)
            await self._newest(place, lambda: api.delete(place, self._version(place), dry_run=True), dry_run=True)
            return None
        manifest = write.manifest

        async def apply() -> Answer:
            return await api.apply(place, self._exact(manifest, self._found.get(place)), dry_run=True)

        try:
            answer = await self._newest(place, apply, dry_run=True)
        except (ForeignWriterError, InvalidError) as refused:
            # What is asked for may not be valid beside what somebody else set.
            if live is None:
                raise
            write.by_hand = self._by_hand(place, self._found[place], edited, refused)
            await self._try_put_back(write)
            return manifest
        if live is None and not answer.made:
            raise DeviceRefusedError(f"{place} is there now: somebody else made it")
        return answer.body

    async def _try_put_back(self, write: _Write) -> None:
        api, place = self._apis[write.place.pool], write.place

        async def merge() -> Object:
            return await api.merge(place, self._put_back(write, self._found[place]), dry_run=True)

        await self._newest(place, merge, dry_run=True)

    async def _settle(self, staged: _Staged, tried: Mapping[Place, Object]) -> None:
        """See that what was tried comes out as it is wanted.

        Applying without a field takes it away only where nobody else has it, and is no conflict. So what somebody set
        by hand and nobody wants is taken away by an edit. What is otherwise, and nobody else's, the server has made
        of our request: an admission webhook, a policy or a default, which would do so each time.

        Raises:
            DeviceRefusedError: It would not, and it can't be made to.
        """
        odd = dict(self._odd(staged, tried))
        for write in staged.writes if odd else ():
            live = self._found.get(write.place)
            if live is None or write.manifest is None or write.by_hand:
                continue
            others = [
                (one, manager)
                for one, manager in writers_of(live)
                if (at := self._objects.leaf_at(write.place, one)) is not None and at in odd
            ]
            if (goes_on := next((manager.name for _, manager in others if not manager.by_hand), None)) is not None:
                raise ForeignWriterError(f"{write.place}: {goes_on} writes what would change, and is not overruled")
            if others:
                write.by_hand = tuple(dict.fromkeys(one for one, _ in others))
                await self._try_put_back(write)
                for one, _ in others:
                    odd.pop(self._objects.leaf_at(write.place, one) or ("", ""), None)
        for (path, _), words in odd.items():
            raise DeviceRefusedError(
                f"{self._objects.pool_of(path) or self._target.device} would not carry {path} as asked, but with "
                f"{words}: an admission webhook, a policy or a default of the pool rewrites it. Change that, or what "
                "is asked for."
            )

    def _odd(self, staged: _Staged, tried: Mapping[Place, Object]) -> Iterable[tuple[tuple[Path, LeafName], str]]:
        """Leaves of edited entries that would not be as they are wanted, and how they would be."""
        tree = self._observed(tried, self._dark or {}).tree
        for path in staged.edited:
            spec, wanted, seen = spec_of(self._root, path), staged.tree.get(path), tree.get(path)
            if spec is None or (wanted is None and seen is None):
                continue
            for leaf in spec.leaves:
                asked, given = (None if one is None else one.get(leaf.name, leaf.default) for one in (wanted, seen))
                if leaf.compared and asked != given:
                    yield (path, leaf.name), f"{leaf.label or leaf.name} {given} in place of {asked}"

    def _by_hand(
        self, place: Place, live: Object, edited: Mapping[Path, set[LeafName]], refused: DeviceRefusedError
    ) -> tuple[tuple[str, ...], ...]:
        """Fields to change that another writer set by hand; a writer that keeps applying them is not overruled."""
        others: list[tuple[tuple[str, ...], Manager]] = [
            (one, manager)
            for one, manager in writers_of(live)
            if (at := self._objects.leaf_at(place, one)) is not None and at[1] in edited.get(at[0], ())
        ]
        if not others or not all(manager.by_hand for _, manager in others):
            raise refused
        return tuple(dict.fromkeys(one for one, _ in others))

    async def _deletable(self, api: PoolApi, place: Place) -> None:
        """Check that the object to delete is the one that was read, and that its namespace holds no function."""
        live = self._found[place]
        if str(live["metadata"].get("uid")) in self._foreign:
            raise DeviceRefusedError(f"{place} belongs to somebody else")
        if place.kind is NAMESPACE:
            inside = await api.list(Place(place.pool, NF_DEPLOYMENT, place.name, ""))
            if inside:
                raise DeviceRefusedError(f"{place} still holds {len(inside)} functions: terminate them first")

    async def commit(self, check: Check | None = None) -> None:
        """Carry out the collected edits, object by object, and wait until deleted objects are gone.

        Args:
            check: See ``DeviceSession.commit``.

        Raises:
            DeviceRefusedError: A pool refused a part; the parts before it took effect.
        """
        staged, self._staged = self._staged, None
        if staged is None:
            return
        self._allowed = _once(check)
        for write in staged.writes:
            await self._carry_out(write)
        await self._vanish(write.place for write in staged.writes if write.manifest is None)

    async def _carry_out(self, write: _Write) -> None:
        api, place = self._apis[write.place.pool], write.place
        manifest, live = write.manifest, self._found.get(place)
        if manifest is None:
            await self._newest(place, lambda: api.delete(place, self._version(place), dry_run=False))
            return
        if write.by_hand:
            self._found[place] = await self._newest(
                place, lambda: api.merge(place, self._put_back(write, self._found[place]), dry_run=False)
            )

        async def apply() -> Answer:
            return await api.apply(place, self._exact(manifest, self._found.get(place)), dry_run=False)

        answer = await self._newest(place, apply)
        self._found[place] = answer.body
        if live is None and not answer.made:
            await self._step_back(api, place, answer.body)

    async def _newest(self, place: Place, write: Callable[[], Awaitable[_T]], *, dry_run: bool = False) -> _T:
        """Write to the version that was read, or to a newer one that differs in its status only.

        Operators keep updating the status of an object. An overloaded server is tried again.
        """
        allowed = _always if dry_run else self._allowed
        for _ in range(_TRIES):
            await allowed()
            try:
                return await write()
            except BusyError as busy:
                await self._clock.sleep(busy.seconds)
            except StaleError:
                newer = await self._apis[place.pool].get(place)
                if newer is None or _asked(newer) != _asked(self._found.get(place, {})):
                    raise
                self._found[place] = newer
        await allowed()
        return await write()

    async def _step_back(self, api: PoolApi, place: Place, live: Object) -> None:
        """Give up the fields of an object that another writer created just before us."""
        self._foreign.add(str(live["metadata"].get("uid")))
        await self._newest(place, lambda: api.apply(place, bare(place), dry_run=False))
        raise DeviceRefusedError(f"{place} is there now: somebody else made it")

    async def _vanish(self, gone: Iterable[Place]) -> None:
        """Wait for deleted objects; if one stays, the next read reports it to people."""
        end = self._clock.monotonic() + self._patience
        for place in gone:
            before = self._found.pop(place)["metadata"].get("uid")
            while (live := await self._apis[place.pool].get(place)) is not None:
                if live["metadata"].get("uid") != before:
                    break
                if self._clock.monotonic() > end:
                    log.warning("cloud.not_gone", object=str(place), held_by=held_up_by(live))
                    break
                await self._clock.sleep(_PAUSE)

    def _version(self, place: Place) -> dict[str, str]:
        metadata = self._found[place]["metadata"]
        return {name: str(metadata[name]) for name in ("uid", "resourceVersion") if name in metadata}

    def _exact(self, manifest: dict[str, Any], live: Object | None) -> dict[str, Any]:
        """The manifest for the version that was read, if one was."""
        if live is None:
            return manifest
        metadata = {name: live["metadata"][name] for name in ("uid", "resourceVersion") if name in live["metadata"]}
        return {**manifest, "metadata": {**manifest["metadata"], **metadata}}

    def _put_back(self, write: _Write, live: Object) -> dict[str, Any]:
        """An edit that sets fields to their wanted values, for the version that was read."""
        assert write.manifest is not None
        patch: dict[str, Any] = {"metadata": {"resourceVersion": live["metadata"].get("resourceVersion")}}
        for names in write.by_hand:
            _set(patch, names, write.manifest, live)
        return patch

    # ------------------------------------------------------------------------ pods

    async def equipment(self) -> Equipment:
        """Pods of a function, each as pool, node and name; empty for a pool.

        A pool that does not answer, or refuses us, hides the pods of no other.

        Raises:
            DeviceError: No pool answers.
        """
        answers = await asyncio.gather(*map(self._pods, self._apis), return_exceptions=True)
        units: list[UnitState] = []
        unseen: dict[str, str] = {}
        for pool, answer in zip(self._apis, answers, strict=True):
            if isinstance(answer, DeviceError) and len(unseen) + 1 < len(self._apis):
                unseen[pool] = answer.message
            elif isinstance(answer, BaseException):
                raise answer
            else:
                units += [
                    UnitState(name=f"{pool}/{pod['spec'].get('nodeName', '')}/{place.name}", kind=POD_UNIT)
                    for place, pod in answer
                ]
        return Equipment(units=tuple(units), unseen=unseen)

    async def _pods(self, pool: str) -> list[tuple[Place, Object]]:
        """Pods of a function on a pool that have not ended."""
        if not self._target.namespace:
            return []
        found = await self._at(Place(pool, POD, self._target.namespace, ""))
        return [
            (place, pod)
            for place, pod in found.items()
            if pod["metadata"]["labels"].get(FUNCTION_LABEL) == self._target.device
            and pod.get("status", {}).get("phase") not in ("Succeeded", "Failed")
        ]

    async def operate(self, operation: Operation) -> str:
        """Evict the pods of a function from a node, as its disruption budget allows; there are no other operations."""
        if operation.kind is not OperationKind.EVICT:
            return f"{self._target.device} has no operation {operation}"
        pool, _, node = operation.subject.partition("/")
        end = self._clock.monotonic() + operation.seconds
        there = [(place, pod) for place, pod in await self._pods(pool) if pod["spec"].get("nodeName") == node]
        for place, pod in there:
            if "deletionTimestamp" not in pod["metadata"] and (refusal := await self._evict(place, pod, end)):
                return refusal
        return ""

    async def _evict(self, place: Place, pod: Object, end: float) -> str:
        """Evict a pod; return why that is refused. While its disruption budget forbids it, try again."""
        api, uid = self._apis[place.pool], str(pod["metadata"]["uid"])
        while True:
            refused: DeviceRefusedError
            seconds = _PAUSE
            try:
                await api.evict(place, uid)
            except BusyError as busy:
                refused, seconds = busy, busy.seconds
            except StaleError as stale:
                # Another writer changed it just then, or it is gone and another pod has its name.
                if all(str(one["metadata"].get("uid")) != uid for one in await api.list(place)):
                    return ""
                refused = stale
            else:
                return ""
            if self._clock.monotonic() + seconds > end:
                return refused.message
            await self._clock.sleep(seconds)


async def _always() -> None:
    """Allow every write: a dry run changes nothing."""


def _once(check: Check | None) -> Check:
    """A check that skips its first call, since it was made just before."""
    first = True

    async def checked() -> None:
        nonlocal first
        if check is not None and not first:
            await check()
        first = False

    return checked


def bare(place: Place) -> dict[str, Any]:
    """A manifest that gives up all our fields of an object."""
    return {"apiVersion": place.kind.api, "kind": place.kind.name, "metadata": {"name": place.name}}


def objects_of(target: KubernetesTarget) -> Objects:
    """The objects of a function or pool."""
    if FUNCTION_PROFILE in target.profiles:
        return FunctionObjects(target.device, target.namespace)
    return PoolObjects(target.device)


def _asked(one: Object) -> Object:
    """The desired state of an object, by any writer: without status and what servers and operators record."""
    metadata = one.get("metadata", {})
    kept = {name: metadata.get(name) for name in ("uid", "labels", "deletionTimestamp")}
    return {**one, "metadata": kept, "status": None}


def _lost(error: DeviceError) -> DeviceError:
    return error if isinstance(error, SessionLostError) else SessionLostError(error.message)


def _set(patch: dict[str, Any], names: tuple[str, ...], wanted: Object | None, live: Object) -> None:
    """Set one field in a merge patch, or remove it if it is not wanted.

    A merge patch replaces a list, so a list is set with all entries, including those of others.
    """
    name, rest = names[0], names[1:]
    value, there = None if wanted is None else wanted.get(name), live.get(name)
    if rest and isinstance(there, dict) and isinstance(value, dict | None):
        _set(patch.setdefault(name, {}), rest, value, there)
    elif rest and _is_of_named(there) and (value is None or _is_of_named(value)):
        entries = {one["name"]: one for one in patch.get(name, there)}
        ours = {one["name"]: one for one in value or ()}
        key, *inner = rest
        if key not in ours:
            entries.pop(key, None)
        elif key not in entries or not inner:
            entries[key] = ours[key]
        else:
            changed: dict[str, Any] = {}
            _set(changed, tuple(inner), ours[key], entries[key])
            entries[key] = _merged(entries[key], changed)
        patch[name] = list(entries.values())
    else:
        patch[name] = value


def _is_of_named(value: object) -> TypeGuard[list[dict[str, Any]]]:
    return isinstance(value, list) and all(isinstance(one, dict) and "name" in one for one in value)


def _merged(one: Object, patch: Object) -> dict[str, Any]:
    """An object with a merge patch carried out (RFC 7386)."""
    found = dict(one)
    for name, value in patch.items():
        if value is None:
            found.pop(name, None)
        else:
            there = found.get(name)
            found[name] = _merged(there, value) if isinstance(value, dict) and isinstance(there, dict) else value
    return found

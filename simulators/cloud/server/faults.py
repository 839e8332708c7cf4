"""Injected faults of a pool's API server: how each spoils a correct answer.

``verb`` of a fault is that of the request (``get``, ``list``, ``watch``, ``create``, ``update``, ``patch``, ``delete``,
``deletecollection``); a patch that applies is ``apply``, and whatever is only tried out is ``dry-run``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

import orjson

from simulators.cloud.language.patches import merge_patch
from simulators.cloud.language.status import StatusError
from simulators.cloud.server import answers
from simulators.cloud.server.answers import Response
from simulators.cloud.server.api import APPLY, Api
from simulators.cloud.server.requests import Request, target
from simulators.cloud.server.verbs import Options
from simulators.cloud.server.watches import Watch
from simulators.faults import InjectedFault, InjectedFaults

#: Matches every verb or resource.
ANY = "any"


class ApiFaultKind(StrEnum):
    """What goes wrong with a request."""

    DROP_BEFORE = "drop-before"
    """The connection breaks before the request is carried out."""
    DROP_AFTER = "drop-after"
    """The connection breaks after the request was carried out, without an answer."""
    DELAY = "delay"
    """The answer comes ``seconds`` later."""
    OK_WITHOUT_EFFECT = "ok-without-effect"
    """The answer is that of a write, and nothing was written."""
    FAIL = "fail"
    """500: the store timed out; nothing was written."""
    WEBHOOK_UNREACHABLE = "webhook-unreachable"
    """500 to a write: an admission webhook that has to agree does not answer; nothing was written."""
    UNAVAILABLE = "unavailable"
    """503, as while the server starts."""
    THROTTLE = "throttle"
    """429: come again after ``seconds``."""
    UNAUTHORIZED = "unauthorized"
    """401, as of a token that has ended."""
    GARBAGE = "garbage"
    """200 with a page of HTML, as of a proxy in between."""
    FORGET_HISTORY = "forget-history"
    """The store was compacted just before: watches and pages from earlier get 410."""
    FOREIGN_WRITE = "foreign-write"
    """Somebody changes the object (``patch``, a merge patch) just before, as field manager ``kubectl-edit``."""


_REFUSALS: Mapping[ApiFaultKind, StatusError] = {
    ApiFaultKind.FAIL: StatusError(500, "", "etcdserver: request timed out"),
    ApiFaultKind.UNAVAILABLE: StatusError(503, "ServiceUnavailable", "apiserver not ready"),
    ApiFaultKind.UNAUTHORIZED: StatusError(401, "Unauthorized", "Unauthorized"),
}


_READS = ("GET", "HEAD", "OPTIONS")
_NO_WEBHOOK = (
    'failed calling webhook "policy.example": failed to call webhook: Post "https://policy.example.svc:443/check?'
    'timeout=10s": dial tcp 10.96.0.17:443: connect: connection refused'
)


@dataclass(slots=True, kw_only=True)
class ApiFault(InjectedFault):
    """One injected fault of a pool's API.

    Attributes:
        resource: Plural of the kind that it strikes, such as ``pods``.
        patch: What a foreign writer changes.
    """

    kind: ApiFaultKind
    verb: str = ANY
    resource: str = ANY
    patch: dict[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """The fault as JSON carries it."""
        names = ("id", "verb", "resource", "count", "probability", "seconds", "struck")
        return {"kind": self.kind.value, **{name: getattr(self, name) for name in names}}


class ApiFaults(InjectedFaults[ApiFault]):
    """The injected faults of one pool's API."""

    __slots__ = ()

    def strikes(self, request: Request) -> dict[ApiFaultKind, ApiFault]:
        """Those that strike a request now, each counted down by one."""
        if not self._faults:
            return {}
        wanted = target(request)
        verb = "apply" if request.header("content-type").startswith(APPLY) else wanted.verb
        verb = "dry-run" if "dryRun" in request.query else verb
        found = self.strike(lambda one: one.verb in {ANY, verb} and one.resource in {ANY, wanted.resource})
        return {fault.kind: fault for fault in found}


def spoiled(api: Api, request: Request, faults: Mapping[ApiFaultKind, ApiFault]) -> Response | Watch:
    """The answer to a request that faults strike; those of the connection are not among them."""
    for kind, error in _REFUSALS.items():
        if kind in faults:
            return answers.failure(error)
    if ApiFaultKind.WEBHOOK_UNREACHABLE in faults and request.method not in _READS:
        causes = {"causes": [{"message": _NO_WEBHOOK}]}
        return answers.failure(StatusError(500, "InternalError", f"Internal error occurred: {_NO_WEBHOOK}", causes))
    if (throttle := faults.get(ApiFaultKind.THROTTLE)) is not None:
        after = max(1, round(throttle.seconds))
        text = "Too many requests, please try again later."
        return answers.failure(StatusError(429, "TooManyRequests", text, {"retryAfterSeconds": after}, after))
    if ApiFaultKind.GARBAGE in faults:
        return Response(200, b"<html><body>Please log in to continue</body></html>", "text/html")
    if ApiFaultKind.FORGET_HISTORY in faults:
        api.cluster.store.compact()
    if (foreign := faults.get(ApiFaultKind.FOREIGN_WRITE)) is not None:
        _write(api, request, foreign.patch)
    if ApiFaultKind.OK_WITHOUT_EFFECT in faults:
        return _without_effect(api, request)
    return api.handle(request)


def _write(api: Api, request: Request, patch: Mapping[str, Any]) -> None:
    wanted = target(request)
    kind = api.cluster.registry.find(wanted.group, wanted.version, wanted.resource)
    if kind is None or api.cluster.store.get(kind.storage, (wanted.namespace, wanted.name)) is None:
        return
    api.cluster.verbs.update(
        kind,
        wanted.namespace,
        wanted.name,
        lambda old: merge_patch(old or {}, dict(patch)),
        Options(manager="kubectl-edit"),
        patch=True,
    )


def _without_effect(api: Api, request: Request) -> Response | Watch:
    """As it would be answered, with a version that the object never gets."""
    answer = api.handle(replace(request, query={**request.query, "dryRun": ["All"]}))
    if isinstance(answer, Watch) or answer.status >= 300 or answer.content_type != answers.JSON:
        return answer
    body = orjson.loads(answer.body)
    if body.get("kind") != "Status":
        body["metadata"]["resourceVersion"] = str(api.cluster.store.revision + 1)
    return replace(answer, body=orjson.dumps(body))

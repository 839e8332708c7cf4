"""Requests and answers of a real Kubernetes API server, played to a simulated pool: it answers the same.

The recordings have no place in this project; they stand beside a checkout, if at all. What differs between any two
servers is paired as it appears (uids, resourceVersions, continue tokens) or only has to be of its kind (times, ages).
Statuses, shapes, reasons, causes and field managers have to be the same; other words may differ, and are listed.

``python -m tests.conformance.kubernetes.replay`` prints which recordings pass.
"""

from __future__ import annotations

import copy
import json
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from simulators.clock import VirtualClock
from simulators.cloud.server.answers import Response
from simulators.cloud.server.api import Api
from simulators.cloud.server.cluster import Cluster
from simulators.cloud.server.requests import Request
from simulators.cloud.server.watches import Watch

RECORDINGS = Path(__file__).parents[4] / "shared" / "kube"
#: When they were recorded: ages of events depend on it.
_RECORDED = datetime(2026, 11, 26, 13, 0, tzinfo=UTC)
_PLACEHOLDER = re.compile(r"00000000-0000-4000-8000-\d{12}|\brv\d+\b|\bcontinue\d+\b|\bgen\d{2}\b")
_NOW = "2026-01-01T00:00:00Z"
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
_AGE = re.compile(r"(\d+[smhdy])+")
#: Words that are told, and not held against the twin: field, or field below a parent.
_WORDS = {"message", "description", "gitVersion", "gitCommit", "goVersion"}
#: Lists in no particular order: rules, and managers by the second of their last write.
_UNORDERED = ("Rules", "managedFields")
_TOKENS = {"admin": "Bearer admin", "viewer": "Bearer viewer", "bad": "Bearer wrong", "none": ""}


def _edited(step: int, **fields: Any) -> dict[int, dict[str, Any]]:
    return {step: fields}


#: Requests whose recorded body was changed after it had been sent, and what was in it then (by its answer).
_SENT: dict[str, dict[int, dict[str, Any]]] = {
    "10": {2: {"spec.replicas": 2}, 12: {"data.k": "2"}},
    "16": {1: {"spec.image": "i:1"}, 2: {"spec.image": "i:1"}},
    "22": {
        2: {"status.conditions.0.status": "False"},
        3: {"status.conditions": [{"type": "Reachable", "status": "True"}]},
    },
    "50": {4: {"metadata.name": "absent", "spec.leaseDurationSeconds": 15}},
}
_BODIES: dict[str, Callable[[], dict[str, Any]]] = {
    "42.1": lambda: _config_map("big", k="x" * (3 * 1024 * 1024 + 10)),
    "42.2": lambda: _function("x" * (3 * 1024 * 1024 + 10)),
    "42.3": lambda: _config_map("big", k="x" * (1024 * 1024 + 1)),
    "42.4": lambda: _function("x" * (2 * 1024 * 1024)),
    "42.5": lambda: {
        **_config_map("ann", k="v"),
        "metadata": {"name": "ann", "annotations": {"a": "x" * (256 * 1024 + 1)}},
    },
}


def _config_map(name: str, **data: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


def _function(image: str) -> dict[str, Any]:
    head = {"apiVersion": "workload.nephio.org/v1alpha1", "kind": "NFDeployment", "metadata": {"name": "big"}}
    return {**head, "spec": {"provider": "a", "image": image}}


@cache
def _definition() -> dict[str, Any]:
    found: dict[str, Any] = yaml.load((RECORDINGS / "crd.yaml").read_text(), Loader=yaml.CSafeLoader)
    return found


@dataclass
class Outcome:
    """What differs: in substance, and in words only."""

    differences: list[str] = field(default_factory=list)
    words: list[str] = field(default_factory=list)


class _Sink:
    def __init__(self) -> None:
        self.lines: list[bytes] = []

    def send(self, line: bytes) -> None:
        self.lines.append(line)

    def end(self) -> None:
        pass


class Replay:
    """One recording against a pool of its own."""

    def __init__(self, number: str) -> None:
        (file,) = RECORDINGS.glob(f"{number}-*.json")
        self.recording = json.loads(file.read_text())
        self.number = number
        self.outcome = Outcome()
        self._ours: dict[str, str] = {}
        self._clock = VirtualClock(_RECORDED)
        self._cluster = Cluster("recorded", self._clock)
        self._cluster.access.add_token("admin", "admin", "system:masters", uid="admin-uid")
        self._cluster.access.add_token("viewer", "viewer", uid="viewer-uid")
        self._api = Api(self._cluster, "192.0.2.2:25000")
        if int(number) > 2:
            self._cluster.create("customresourcedefinitions.apiextensions.k8s.io", _definition())

    def run(self) -> Outcome:
        """Play all steps."""
        steps = self.recording["steps"]
        pending: list[tuple[int, Watch, _Sink, dict[str, Any], int]] = []
        for index, step in enumerate(steps):
            answer = self._api.handle(self._request(index, step["request"]))
            if isinstance(answer, Watch):
                sink = _Sink()
                answer.start(sink)
                live = re.search(r"during the next (\d+) steps", step["request"].get("note", ""))
                pending.append((index, answer, sink, step, int(live[1]) if live else 0))
            else:
                self._compare(index, step, answer)
            for watch in [one for one in pending if one[0] + one[4] <= index]:
                pending.remove(watch)
                self._end_watch(*watch[:4])
        self._ascending()
        return self.outcome

    def _end_watch(self, index: int, watch: Watch, sink: _Sink, step: dict[str, Any]) -> None:
        self._clock.advance(float(step["request"].get("windowSeconds", 1)))
        watch.stop()
        events = [json.loads(line) for line in sink.lines]
        if "events" not in step["response"]:
            self._differs(index, "", f"answered {step['response']['status']}", f"a watch with {events}")
            return
        self._same(index, "events", _marks(step["response"]["events"]), _marks(events))

    # ---------------------------------------------------------------- requests

    def _request(self, index: int, recorded: dict[str, Any]) -> Request:
        headers = dict(recorded.get("headers") or {})
        authorization = _TOKENS[headers.pop("user", "admin")]
        if authorization:
            headers["authorization"] = authorization
        body = recorded.get("body")
        if f"{self.number}.{index}" in _BODIES:
            body = _BODIES[f"{self.number}.{index}"]()
        body = self._sent(index, body)
        raw = b"" if body is None else body.encode() if isinstance(body, str) else json.dumps(body).encode()
        query = {name: [self._translated(str(value))] for name, value in (recorded.get("query") or {}).items()}
        return Request(recorded["method"], self._translated(recorded["path"]), query, headers, raw)

    def _sent(self, index: int, body: Any) -> Any:
        body = self._translated(copy.deepcopy(body))
        for path, value in _SENT.get(self.number, {}).get(index, {}).items():
            *parents, last = path.split(".")
            part = body
            for name in parents:
                part = part[int(name)] if isinstance(part, list) else part[name]
            part[last] = value
        return body

    def _translated(self, value: Any) -> Any:
        """Recorded names replaced by those that our pool gave out."""
        if isinstance(value, str):
            value = value.replace(_NOW, f"{_RECORDED:%Y-%m-%dT%H:%M:%SZ}")
            return _PLACEHOLDER.sub(lambda found: self._ours.get(found[0], found[0]), value)
        if isinstance(value, dict):
            return {key: self._translated(each) for key, each in value.items()}
        return [self._translated(each) for each in value] if isinstance(value, list) else value

    # ----------------------------------------------------------------- answers

    def _compare(self, index: int, step: dict[str, Any], answer: Response) -> None:
        recorded = step["response"]
        if answer.status != recorded["status"]:
            self._differs(index, "status", recorded["status"], f"{answer.status} {answer.body[:300].decode()}")
            return
        headers = {name.lower(): value for name, value in answer.headers}
        warnings = [value for name, value in answer.headers if name.lower() == "warning"]
        wanted = recorded.get("headers") or {}
        self._same(index, "warnings", _listed(wanted.get("warning")), warnings)
        self._same(index, "retry-after", wanted.get("retry-after"), headers.get("retry-after"))
        kind = answer.content_type
        if "content-type" in wanted:
            self._same(index, "content-type", wanted["content-type"], kind)
        if "events" in recorded:
            self._differs(index, "", "a watch", answer.body.decode())
            return
        if self.number == "54":
            self._same_openapi(index, recorded["body"], answer.body)
            return
        body = recorded.get("body")
        if kind == "application/yaml":
            self._same(index, "body", _as_recorded(yaml.safe_load(body)), yaml.safe_load(answer.body))
        elif kind.startswith("text/"):
            self._same(index, "body", body, answer.body.decode())
        else:
            ours = json.loads(answer.body or b"null")
            self._same(index, "body", self._unedited(index, body, ours), ours)

    def _unedited(self, index: int, body: Any, ours: Any) -> Any:
        """An answer that the recorder edited to send it: only who it is can be compared then."""
        later = [step["request"].get("body") for step in self.recording["steps"][index + 1 :]]
        if not isinstance(body, dict) or body not in later or "metadata" not in body:
            return body
        kept = {key: body["metadata"][key] for key in ("name", "resourceVersion") if key in body["metadata"]}
        if ours["metadata"].get("uid") not in self._ours.values():
            kept["uid"] = body["metadata"]["uid"]
        return {"kind": body["kind"], "metadata": {**kept, _ONLY: True}, _ONLY: True}

    def _same_openapi(self, index: int, recorded: Any, ours: bytes) -> None:
        if recorded is None:
            return
        if "paths" in recorded:
            paths = json.loads(ours)["paths"]
            for name in recorded["paths"]:
                if name not in paths:
                    self._differs(index, "paths", name, sorted(paths))
            return
        begin = recorded["first2kB"]
        self._same(index, "openapi", begin, ours.decode()[: len(begin)])

    def _same(self, index: int, path: str, recorded: Any, ours: Any) -> None:
        for where, one, other in self._differing(path, recorded, ours):
            word = where.rpartition(".")[2]
            if word in _WORDS and isinstance(one, str) and isinstance(other, str):
                self.outcome.words.append(f"{self.number}.{index} {where}:\n    {one[:400]}\n    {other[:400]}")
            else:
                self._differs(index, where, one, other)

    def _differing(self, path: str, recorded: Any, ours: Any) -> Iterator[tuple[str, Any, Any]]:
        if isinstance(recorded, dict) and isinstance(ours, dict):
            only = recorded.get(_ONLY)
            recorded = {str(self._translated(key)): value for key, value in recorded.items()}
            for key in sorted({*recorded, *(() if only else ours)} - {_ONLY}):
                if key not in ours or key not in recorded:
                    yield f"{path}.{key}", recorded.get(key, "(absent)"), ours.get(key, "(absent)")
                else:
                    yield from self._differing(f"{path}.{key}", recorded[key], ours[key])
        elif isinstance(recorded, list) and isinstance(ours, list):
            if len(recorded) != len(ours):
                yield path, recorded, ours
                return
            if path.endswith(_UNORDERED):
                recorded, ours = _in_order(recorded), _in_order(ours)
            pairs = zip(recorded, ours, strict=True)
            for position, (one, other) in enumerate(pairs):
                yield from self._differing(f"{path}[{position}]", one, other)
        elif not self._equal(recorded, ours):
            yield path, recorded, ours

    def _equal(self, recorded: Any, ours: Any) -> bool:
        if recorded == ours and type(recorded) is type(ours):
            return True
        if not isinstance(recorded, str) or not isinstance(ours, str):
            return False
        if recorded == _NOW:
            return bool(_TIME.fullmatch(ours))
        if _PLACEHOLDER.fullmatch(recorded) and recorded not in self._ours:
            self._ours[recorded] = ours
            return True
        if _AGE.fullmatch(recorded):
            return bool(_AGE.fullmatch(ours))
        return _plain(str(self._translated(recorded))) == _plain(ours)

    def _ascending(self) -> None:
        known = [int(self._ours[name]) for name in self.recording.get("rvAscending") or () if name in self._ours]
        if known != sorted(known):
            self._differs(-1, "rvAscending", self.recording["rvAscending"], known)

    def _differs(self, index: int, where: str, recorded: Any, ours: Any) -> None:
        self.outcome.differences.append(f"{self.number}.{index} {where}:\n    {_short(recorded)}\n    {_short(ours)}")


_ONLY = "(only these)"


def _plain(text: str) -> str:
    """Without the real times and versions that remain inside longer strings."""
    return re.sub(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ|resourceVersion[\\\":]+\d+|(?<=\()\d+(?=\))", "~", text)


def _as_recorded(value: Any) -> Any:
    """A YAML answer kept its times and versions."""
    if isinstance(value, dict):
        return {key: "rv0" if key == "resourceVersion" else _as_recorded(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_as_recorded(each) for each in value]
    return _NOW if isinstance(value, str) and _TIME.fullmatch(value) else value


def _marks(events: list[Any]) -> list[Any]:
    """How many bookmarks come is the server's affair."""
    return [
        one for index, one in enumerate(events) if index == 0 or one["type"] != "BOOKMARK" or one != events[index - 1]
    ]


def _in_order(items: list[Any]) -> list[Any]:
    def key(item: dict[str, Any]) -> str:
        names = ("manager", "operation", "apiVersion", "subresource")
        return json.dumps([item.get(name) for name in names] if "manager" in item else item, sort_keys=True)

    return sorted(items, key=key)


def _listed(value: Any) -> list[str]:
    return [] if value is None else value if isinstance(value, list) else [value]


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return text[:600]


def numbers() -> list[str]:
    """The recordings that there are."""
    return sorted(file.name[:2] for file in RECORDINGS.glob("[0-9][0-9]-*.json"))


def main() -> None:
    """Print which recordings pass, and what differs in those named (or all)."""
    passed = 0
    chosen = sys.argv[1:] or numbers()
    for number in chosen:
        try:
            outcome = Replay(number).run()
        except Exception as error:
            if len(sys.argv) > 1:
                raise
            outcome = Outcome([f"{type(error).__name__}: {error}"])
        passed += not outcome.differences
        said = "same" if not outcome.differences else f"{len(outcome.differences)} differences"
        print(f"{number} {said}" + (f", {len(outcome.words)} in words only" if outcome.words else ""))
        for line in outcome.differences if len(sys.argv) > 1 else outcome.differences[:1]:
            print("  " + line)
        for line in outcome.words if len(sys.argv) > 1 else ():
            print("  (words) " + line)
    print(f"{passed} of {len(chosen)} recordings answered the same")


if __name__ == "__main__":
    main()

"""What the controller makes of the answers of a real API server (left out where there are no recordings of them)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest

from controller.drivers.kubernetes.api import ExpiredError, ForeignWriterError, InvalidError, PoolApi, StaleError
from controller.drivers.kubernetes.codec import NF_DEPLOYMENT, FunctionObjects, Place, writers_of
from controller.drivers.kubernetes.target import PoolTarget
from controller.models.errors import (
    AuthenticationError,
    DeviceError,
    DeviceRefusedError,
    NotPermittedError,
    SessionLostError,
)
from controller.nrm.profiles.function import deployment_path
from controller.ports.clock import SystemClock
from tests.conformance.kubernetes.replay import RECORDINGS
from tests.unit.drivers.kubernetes.server import POOL, SECRETS

pytestmark = pytest.mark.skipif(not RECORDINGS.is_dir(), reason="no recordings in ../shared/kube")


@cache
def answers() -> tuple[tuple[str, int, dict[str, Any]], ...]:
    """File, status and body of all answers that are JSON objects, events included."""
    return tuple(_answers())


def _answers() -> Iterator[tuple[str, int, dict[str, Any]]]:
    for file in sorted(RECORDINGS.glob("[0-9][0-9]-*.json")):
        for step in json.loads(file.read_text())["steps"]:
            response = step["response"]
            if isinstance(response.get("body"), dict):
                yield file.name, response["status"], response["body"]
            for event in response.get("events", ()):
                if isinstance(event, dict) and event.get("type") == "ERROR":
                    yield file.name, event["object"]["code"], event["object"]


def expected(status: int, body: dict[str, Any]) -> type[DeviceError]:
    reason = body.get("reason")
    causes = {cause.get("reason") for cause in body.get("details", {}).get("causes") or ()}
    if body["message"].startswith("failed to create typed patch object"):
        return DeviceRefusedError
    if status >= 500:
        return SessionLostError
    by_reason = {"Unauthorized": AuthenticationError, "Expired": ExpiredError, "Gone": ExpiredError}
    by_reason["Invalid"] = InvalidError
    if " cannot " in body["message"] and ' resource "' in body["message"]:
        by_reason["Forbidden"] = AuthenticationError if "system:anonymous" in body["message"] else NotPermittedError
    by_reason["Conflict"] = ForeignWriterError if "FieldManagerConflict" in causes else StaleError
    return by_reason.get(str(reason), DeviceRefusedError)


def test_each_refusal_is_taken_for_what_it_is() -> None:
    api = PoolApi(PoolTarget(POOL, "127.0.0.1", 1, "ca"), SECRETS, SystemClock(), timeout=1, connect_timeout=1)
    refusals = [(name, status, body) for name, status, body in answers() if status >= 400]
    assert len(refusals) > 100
    wrong = [
        (name, status, body.get("reason"), type(error).__name__)
        for name, status, body in refusals
        if type(error := api._refused(status, body)) is not expected(status, body)
    ]
    assert wrong == []
    conflicts = [api._refused(status, body).message for name, status, body in refusals if name.startswith("18-")]
    assert any('conflict with "one": spec.image' in text for text in conflicts)


def test_each_function_is_read() -> None:
    found = [body for _, status, body in answers() if status < 400 and body.get("kind") == NF_DEPLOYMENT.name]
    assert len(found) > 50
    for one in found:
        metadata = one["metadata"]
        name, namespace = metadata["name"], metadata.get("namespace", "s")
        place = Place(POOL, NF_DEPLOYMENT, namespace, name)
        seen = FunctionObjects(name, namespace).observed({place: one}, {})
        leaves = seen.tree.get(deployment_path(name, POOL))
        assert (leaves is None) is ("deletionTimestamp" in metadata)
        if leaves is not None:
            assert leaves.get("provider") == one.get("spec", {}).get("provider")
        assert {manager.name for _, manager in writers_of(one)} <= {
            entry["manager"] for entry in metadata.get("managedFields", ())
        }

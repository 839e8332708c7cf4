"""Requests as they go onto the wire: built by ncclient's operations, and kept where they are always the same.

ncclient's operations know what each request has to look like and which capability it needs. Here they
build it without a session of theirs, so that it can be sent many times under new message ids.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from ncclient.capabilities import Capabilities
from ncclient.devices.default import DefaultDeviceHandler
from ncclient.operations.errors import MissingCapabilityError
from ncclient.operations.rpc import RPC

from controller.models.errors import DeviceRefusedError

HANDLER = DefaultDeviceHandler({"name": "default"})


@dataclass(frozen=True, slots=True)
class Request:
    """An rpc without its message id: the name of its operation, and the text before and after the id."""

    name: str
    before: bytes
    after: bytes


def build(operation: type[RPC], capabilities: Capabilities, *args: Any, **kwargs: Any) -> Request:
    """A request.

    Args:
        operation: Class of the operation.
        capabilities: What the device offers.
        *args: Passed on to the operation's ``request``.
        **kwargs: Likewise.

    Raises:
        DeviceRefusedError: The device did not offer the capability that the operation needs.
    """
    if all(isinstance(value, str | bool | None) for value in (*args, *kwargs.values())):
        return _kept(operation, capabilities, args, tuple(kwargs.items()))  # type: ignore[arg-type]  # ncclient has no types
    return _built(operation, capabilities, args, kwargs)


@lru_cache(maxsize=256)
def _kept(
    operation: type[RPC], capabilities: Capabilities, args: tuple[Any, ...], kwargs: tuple[tuple[str, Any], ...]
) -> Request:
    return _built(operation, capabilities, args, dict(kwargs))


def _built(operation: type[RPC], capabilities: Capabilities, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Request:
    session = _Recorder(capabilities)
    try:
        rpc = operation(session, HANDLER, async_mode=True)
        rpc.request(*args, **kwargs)
    except MissingCapabilityError as error:
        raise DeviceRefusedError(f"it can't do {operation.__name__}: {error}") from None
    before, _, after = session.message.partition(rpc.id)
    return Request(operation.__name__, before.encode(), after.encode())


class _Recorder:
    """What ncclient's operations ask of a session."""

    id: str | None = None

    def __init__(self, capabilities: Capabilities) -> None:
        self.server_capabilities = capabilities
        self.message = ""

    def send(self, message: str) -> None:
        """Keep the message."""
        self.message = message

    def get_listener_instance(self, _kind: type) -> None:
        """Nobody listens."""

    def add_listener(self, listener: object) -> None:
        """Nobody will."""

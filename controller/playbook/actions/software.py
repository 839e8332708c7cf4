"""Shipped actions on a station's software (o-ran-software-management): download, install, activate, go back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import Field

from controller.models.equipment import Equipment, Operation, OperationKind, SlotState, comes_from
from controller.models.errors import ConflictError
from controller.models.network import DeviceKind, Noun
from controller.playbook.actions.configuration import ChangeOutput, NoInputs
from controller.playbook.actions.equipment import reset, with_station
from controller.playbook.language.registry import Context, DeviceAccess, Proposal, UnmetCondition, action


class Download(Noun):
    """What to download."""

    url: str = Field(
        pattern=r"^[a-z]+://([^/\s:@]+@)?[^/\s@]+/.*[^/\s]$",  # a password would stay on record
        max_length=500,
        description="The file's address, as in `sftp://10.0.0.1/images/station-24.3.0.zip`, without a password.",
    )
    version: str = Field(
        default="", max_length=64, description="Nothing is downloaded if a slot already holds this version."
    )
    seconds: float = Field(default=1800, gt=0, le=86400, description="Seconds that it may take.")


class DownloadedFile(Noun):
    """What was downloaded."""

    changed: bool = Field(description="Whether it had to be downloaded.")
    file: str = Field(description="The file's name on the station.")


class Install(Noun):
    """What to install."""

    version: str = Field(min_length=1, max_length=64, description="The version that the slot must hold afterwards.")
    files: tuple[str, ...] = Field(default=(), description="Downloaded files by name; empty for all.")
    seconds: float = Field(default=1800, gt=0, le=86400, description="Seconds that it may take.")


class Installation(Noun):
    """Where it was installed."""

    changed: bool = Field(description="Whether it had to be installed.")
    slot: str = Field(description="The slot that holds the version.")
    previous: str = Field(description="The slot that the station runs from: the way back.")


class SlotChoice(Noun):
    """One software slot."""

    slot: str = Field(min_length=1, max_length=64, description="The slot by its name.")
    seconds: float = Field(default=600, gt=0, le=3600, description="Seconds that it may take.")


class PreviousSoftware(Noun):
    """The software to go back to."""

    slot: str = Field(description="The slot that holds it.")
    version: str = Field(description="Its version.")
    previous: str = Field(description="The slot that the station runs from.")


class Version(Noun):
    """One version."""

    version: str = Field(min_length=1, max_length=64, description="The version that must run.")


class RunningSoftware(Noun):
    """What runs."""

    slot: str = Field(description="The slot that the station runs from.")
    version: str = Field(description="Its version.")


def _check_source(context: Context, url: str) -> None:
    if not comes_from(url, context.sources):
        allowed = " or ".join(context.sources) or "nothing"
        raise ConflictError(f"software comes from what MINKA_SOFTWARE_SOURCES names, which is {allowed}: {url}")


async def _may_come(context: Context, given: Mapping[str, Any]) -> None:
    """Whether software may come from its address, whatever its version is."""
    if "url" in given:
        _check_source(context, given["url"])


@action("download-software", DeviceAccess.CHANGES, consent=None, devices=DeviceKind.STATION, judges=_may_come)
async def download_software(context: Context, given: Download) -> Proposal[DownloadedFile]:
    """Let the station fetch a software file. Service continues; the station notifies the end."""
    _check_source(context, given.url)
    await context.ledger()
    seen = await context.equipment()
    there = bool(given.version) and any(_holds(slot, given.version) for slot in seen.slots)
    kind, since = OperationKind.DOWNLOAD, seen.now
    fetch = Operation(kind=kind, subject=given.url, since=since, seconds=given.seconds)
    said = DownloadedFile(changed=not there, file=given.url.rpartition("/")[2])
    return Proposal(None, said, () if there else (fetch,))


@action("install-software", DeviceAccess.CHANGES, consent=None, devices=DeviceKind.STATION)
async def install_software(context: Context, given: Install) -> Proposal[Installation]:
    """Install downloaded files into a slot that is neither active nor running. Service continues.

    The slot must be valid and hold the version afterwards. Nothing is done if a slot already holds it.
    """
    await context.ledger()
    seen = await context.equipment()
    running = _running(context.station, seen)
    holding = [slot for slot in seen.slots if _holds(slot, given.version)]
    best = max(holding, key=lambda slot: (slot.running, slot.active, slot.writable), default=None)
    if best is not None:
        return Proposal(None, Installation(changed=False, slot=best.name, previous=running.name))
    free = next((slot for slot in seen.slots if slot.writable and not slot.active and not slot.running), None)
    if free is None:
        raise ConflictError(f"{context.station} has no slot to install to that is neither active nor running")
    kind = OperationKind.INSTALL
    install = Operation(
        kind=kind, subject=free.name, files=given.files, version=given.version, since=seen.now, seconds=given.seconds
    )
    return Proposal(None, Installation(changed=True, slot=free.name, previous=running.name), (install,))


@action("activate-software", DeviceAccess.CHANGES, consent=None, devices=DeviceKind.STATION)
async def activate_software(context: Context, given: SlotChoice) -> Proposal[ChangeOutput]:
    """Activate a slot for the next start. The station runs from the old one until it restarts."""
    await context.ledger()
    wanted = _activation(context, await context.equipment(), given)
    return Proposal(None, ChangeOutput(changed=bool(wanted)), wanted)


@action(
    "rollback-software",
    DeviceAccess.CHANGES,
    devices=DeviceKind.STATION,
    takes=with_station,
    takes_all=True,
    restarts=True,
)
async def rollback_software(context: Context, given: SlotChoice) -> Proposal[ChangeOutput]:
    """Return to a slot that the station ran from before: activate it, restart, and check that it runs."""
    await context.ledger()
    seen = await context.equipment()
    wanted = _activation(context, seen, given)
    if wanted or _running(context.station, seen).name != given.slot:
        wanted += (reset(context.station, seen, given.seconds, slot=given.slot, on_battery=True),)
    return Proposal(None, ChangeOutput(changed=bool(wanted)), wanted)


@action("check-software", DeviceAccess.READS, devices=DeviceKind.STATION)
async def check_software(context: Context, given: Version) -> RunningSoftware | UnmetCondition:
    """Fail unless the station runs a version."""
    running = _running(context.station, await context.equipment())
    if running.version != given.version:
        return UnmetCondition(f"it runs {running.version} from {running.name}, and not {given.version}")
    return RunningSoftware(slot=running.name, version=running.version)


def _activation(context: Context, seen: Equipment, given: SlotChoice) -> tuple[Operation, ...]:
    slot = seen.slot(given.slot)
    if slot is not None and slot.active:
        return ()
    # In a dry run, an earlier step may have installed it.
    if not context.dry_run and (slot is None or slot.status != "VALID"):
        valid = ", ".join(one.name for one in seen.slots if one.status == "VALID")
        raise ConflictError(f"{context.station} has no valid slot {given.slot!r}; valid: {valid or 'none'}")
    kind = OperationKind.ACTIVATE
    return (Operation(kind=kind, subject=given.slot, since=seen.now, seconds=given.seconds),)


def _holds(slot: SlotState, version: str) -> bool:
    return slot.status == "VALID" and slot.version == version


def _running(station: str, seen: Equipment) -> SlotState:
    if seen.running is None:
        raise ConflictError(f"{station} does not say what software it runs")
    return seen.running


@action("choose-other-software", DeviceAccess.READS, devices=DeviceKind.STATION)
async def choose_other_software(context: Context, _: NoInputs) -> PreviousSoftware | UnmetCondition:
    """The valid slot that the station does not run from, one that can be written to before the factory's."""
    seen = await context.equipment()
    running = _running(context.station, seen)
    valid = [slot for slot in seen.slots if slot.status == "VALID" and not slot.running and slot.version]
    best = max(valid, key=lambda slot: slot.writable, default=None)
    if best is None:
        return UnmetCondition(f"it has no valid software but that of {running.name}, from which it runs")
    return PreviousSoftware(slot=best.name, version=best.version, previous=running.name)


SOFTWARE = (
    choose_other_software,
    download_software,
    install_software,
    activate_software,
    rollback_software,
    check_software,
)

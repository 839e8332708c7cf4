"""Events of the VES event listener 7.2.1 (ONAP, common event format 30.2.1), for the domains that we read.

Names, required fields and enumerations are those of the published schema; a test compares them
(``tests/conformance/ves``). Of all other domains we read the header only.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field
from pydantic.alias_generators import to_camel

from controller.models.alarm import PerceivedSeverity
from controller.models.network import Noun

#: The last whole second of the year 9999 in microseconds, since larger numbers may be rounded beyond it.
_LAST = 253_402_300_799_000_000
_Micros = Annotated[float, Field(ge=0, le=_LAST)]
#: Types of alarm notifications (TS 28.532, ``AlarmNotificationTypes`` of its Fault Supervision MnS).
_OF_ALARMS = (
    "notifyNewAlarm",
    "notifyChangedAlarm",
    "notifyChangedAlarmGeneral",
    "notifyAckStateChanged",
    "notifyCorrelatedNotificationChanged",
    "notifyComments",
    "notifyClearedAlarm",
    "notifyAlarmListRebuilt",
    "notifyPotentialFaultyAlarmList",
)
#: Versions of blocks are strings, but numbers in the samples of the specification.
_Version = BeforeValidator(lambda value: str(value) if isinstance(value, float) else value)
_HashMap = dict[str, str]


class _Block(BaseModel):
    model_config = ConfigDict(extra="forbid", alias_generator=to_camel)


class CommonEventHeader(_Block):
    """Header of all events."""

    domain: Literal[
        "fault",
        "heartbeat",
        "measurement",
        "mobileFlow",
        "notification",
        "other",
        "perf3gpp",
        "pnfRegistration",
        "sipSignaling",
        "stateChange",
        "stndDefined",
        "syslog",
        "thresholdCrossingAlert",
        "voiceQuality",
    ]
    event_id: str
    event_name: str
    event_type: str = ""
    internal_header_fields: dict[str, Any] = {}
    last_epoch_microsec: _Micros
    nfc_naming_code: str = ""
    nf_naming_code: str = ""
    nf_vendor_name: str = ""
    priority: Literal["High", "Medium", "Normal", "Low"]
    reporting_entity_id: str = ""
    reporting_entity_name: str
    sequence: int
    source_id: str = ""
    source_name: str = Field(min_length=1)
    start_epoch_microsec: _Micros
    stnd_defined_namespace: str = ""
    time_zone_offset: str = ""
    version: Literal["4.0", "4.0.1", "4.1"]
    ves_event_listener_version: Literal["7.0", "7.0.1", "7.1", "7.1.1", "7.2", "7.2.1"]

    @property
    def source_time(self) -> datetime:
        """Latest time of the event, by the clock of its source."""
        return datetime.fromtimestamp(self.last_epoch_microsec / 1_000_000, UTC)


class FaultFields(_Block):
    """A fault that was raised, changed or cleared."""

    alarm_additional_information: _HashMap = {}
    alarm_condition: str
    alarm_interface_a: str = Field(default="", alias="alarmInterfaceA")
    event_category: str = ""
    event_severity: Literal["CRITICAL", "MAJOR", "MINOR", "WARNING", "NORMAL"]
    event_source_type: str
    fault_fields_version: Annotated[Literal["4.0"], _Version]
    specific_problem: str
    vf_status: Literal["Active", "Idle", "Preparing to terminate", "Ready to terminate", "Requesting termination"]

    @property
    def severity(self) -> PerceivedSeverity:
        """Its severity; NORMAL means cleared."""
        return PerceivedSeverity.CLEARED if self.event_severity == "NORMAL" else PerceivedSeverity(self.event_severity)


class HeartbeatFields(_Block):
    """Interval of heartbeats."""

    additional_fields: _HashMap = {}
    heartbeat_fields_version: Annotated[Literal["3.0"], _Version]
    heartbeat_interval: int


class PnfRegistrationFields(_Block):
    """Data that a network function reports of itself when it is plugged in."""

    additional_fields: _HashMap = {}
    last_service_date: str = ""
    mac_address: str = ""
    manufacture_date: str = ""
    model_number: str = ""
    oam_v4_ip_address: str = Field(default="", alias="oamV4IpAddress")
    oam_v6_ip_address: str = Field(default="", alias="oamV6IpAddress")
    pnf_registration_fields_version: Annotated[Literal["2.0", "2.1"], _Version]
    serial_number: str = ""
    software_version: str = ""
    unit_family: str = ""
    unit_type: str = ""
    vendor_name: str = ""


class StndDefinedFields(_Block):
    """Content of another organisation: of 3GPP we read that files are ready, or alarms changed (TS 28.532).

    The file location in an event is ignored, since a sender could name any location.
    """

    data: dict[str, Any]
    schema_reference: str = ""
    stnd_defined_fields_version: Annotated[Literal["1.0"], _Version]

    @property
    def alarms_changed(self) -> bool:
        """Whether alarms came, changed or went, or their list was rebuilt."""
        return self.data.get("notificationType") in _OF_ALARMS

    @property
    def files_ready(self) -> bool:
        """Whether files with performance data are ready."""
        files = self.data.get("fileInfoList")
        if self.data.get("notificationType") != "notifyFileReady" or not isinstance(files, list):
            return False
        kinds = (file.get("fileDataType", "Performance") for file in files if isinstance(file, dict))
        return any(kind == "Performance" for kind in kinds)


class VesEvent(_Block):
    """One event. Blocks of domains that we do not read may have any content."""

    common_event_header: CommonEventHeader
    fault_fields: FaultFields | None = None
    heartbeat_fields: HeartbeatFields | None = None
    pnf_registration_fields: PnfRegistrationFields | None = None
    stnd_defined_fields: StndDefinedFields | None = None
    measurement_fields: Any = None
    mobile_flow_fields: Any = None
    notification_fields: Any = None
    other_fields: Any = None
    perf3gpp_fields: Any = Field(default=None, alias="perf3gppFields")
    sip_signaling_fields: Any = None
    state_change_fields: Any = None
    syslog_fields: Any = None
    threshold_crossing_alert_fields: Any = None
    voice_quality_fields: Any = None


class Heartbeat(Noun):
    """The last heartbeat of a device.

    Attributes:
        interval: Seconds until the next heartbeat, as the device says.
        lost: Whether its silence was reported.
    """

    device: str
    at: AwareDatetime
    interval: float
    lost: bool

"""XML namespaces on the wire. Each is written in full, since several 3GPP modules break the naming pattern."""

from __future__ import annotations

from typing import cast

NETCONF = "urn:ietf:params:xml:ns:netconf:base:1.0"
NOTIFICATIONS = "urn:ietf:params:xml:ns:netconf:notification:1.0"
YANG = "urn:ietf:params:xml:ns:yang:1"
YANG_LIBRARY = "urn:ietf:params:xml:ns:yang:ietf-yang-library"

MANAGED_ELEMENT = "urn:3gpp:sa5:_3gpp-common-managed-element"
GNBCUCP_FUNCTION = "urn:3gpp:sa5:_3gpp-nr-nrm-gnbcucpfunction"
GNBCUUP_FUNCTION = "urn:3gpp:sa5:_3gpp-nr-nrm-gnbcuupfunction"
GNBDU_FUNCTION = "urn:3gpp:sa5:_3gpp-nr-nrm-gnbdufunction"
DANR_MANAGEMENT_FUNCTION = "urn:3gpp:sa5:_3gpp-nr-nrm-danrmanagementfunction"
NR_CELL_CU = "urn:3gpp:sa5:_3gpp-nr-nrm-nrcellcu"
NR_CELL_DU = "urn:3gpp:sa5:_3gpp-nr-nrm-nrcelldu"
NR_CELL_RELATION = "urn:3gpp:sa5:_3gpp-nr-nrm-nrcellrelation"
NR_FREQ_RELATION = "urn:3gpp:sa5:_3gpp-nr-nrm-nrfreqrelation"
NR_NETWORK = "urn:3gpp:sa5:_3gpp-nr-nrm-nrnetwork"
NR_FREQUENCY = "urn:3gpp:sa5:_3gpp-nr-nrm-nrnetwork-nrfrequency"
EUTRA_NETWORK = "urn:3gpp:sa5:_3gpp-nr-nrm-eutranetwork"
EXTERNAL_ENB_FUNCTION = "urn:3gpp:sa5:_3gpp-nr-nrm-externalenbfunction"
EXTERNAL_EUTRAN_CELL = "urn:3gpp:sa5:_3gpp-nr-nrm-externaleutrancell"
EXTERNAL_GNBCUCP_FUNCTION = "urn:3gpp:sa5:_3gpp-nr-nrm-externalgnbcucpfunction"
EXTERNAL_NR_CELL_CU = "urn:3gpp:sa5:_3gpp-nr-nrm-externalnrcellcu"
EUTRAN_CELL_RELATION = "urn:3gpp:sa5:_3gpp-nr-nrm-eutrancellrelation"
NR_SECTOR_CARRIER = "urn:3gpp:sa5:_3gpp-nr-nrm-nrnetwork-nrsectorcarrier"
NR_OPERATOR_DU = "urn:3gpp:sa5:_3gpp-nr-nrm-operatordu"
NR_OPERATOR_CELL_DU = "urn:3gpp:sa5:_3gpp-nr-nrm-nroperatorcelldu"
NR_EP = "urn:3gpp:sa5:_3gpp-nr-nrm-ep"
RRM_POLICY = "urn:3gpp:sa5:_3gpp-nr-nrm-rrmpolicy"

EUTRAN = "urn:minka:eutran-nrm"
EP_STATE = "urn:minka:ep-state"

ORAN_FM = "urn:o-ran:fm:1.0"
ORAN_EXTERNALIO = "urn:o-ran:external-io:1.0"
ORAN_OPERATIONS = "urn:o-ran:operations:1.0"
ORAN_SOFTWARE = "urn:o-ran:software-management:1.0"
EQUIPMENT = "urn:minka:equipment"
PERFORMANCE = "urn:minka:performance"


def as_default(namespace: str) -> dict[str, str]:
    """An lxml nsmap that makes a namespace the default (lxml's stubs know no None key)."""
    return cast("dict[str, str]", {None: namespace})

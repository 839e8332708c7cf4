"""XML namespaces on the wire. Each is written out: several 3GPP modules break the naming pattern."""

NETCONF = "urn:ietf:params:xml:ns:netconf:base:1.0"
YANG = "urn:ietf:params:xml:ns:yang:1"

MANAGED_ELEMENT = "urn:3gpp:sa5:_3gpp-common-managed-element"
GNBCUCP_FUNCTION = "urn:3gpp:sa5:_3gpp-nr-nrm-gnbcucpfunction"
GNBCUUP_FUNCTION = "urn:3gpp:sa5:_3gpp-nr-nrm-gnbcuupfunction"
GNBDU_FUNCTION = "urn:3gpp:sa5:_3gpp-nr-nrm-gnbdufunction"
NR_CELL_CU = "urn:3gpp:sa5:_3gpp-nr-nrm-nrcellcu"
NR_CELL_DU = "urn:3gpp:sa5:_3gpp-nr-nrm-nrcelldu"
NR_EP = "urn:3gpp:sa5:_3gpp-nr-nrm-ep"
RRM_POLICY = "urn:3gpp:sa5:_3gpp-nr-nrm-rrmpolicy"

EUTRAN = "urn:minka:eutran-nrm"
EP_STATE = "urn:minka:ep-state"

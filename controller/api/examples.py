"""Examples of all request bodies, for the OpenAPI document."""

from __future__ import annotations

from typing import Any

_WHY = {"reason": "CHG-1042"}
_WHAT = {"parameters": {"station": "PE-CUS-0145", "cell": "B28-1"}}

#: Examples by the name of the schema.
EXAMPLES: dict[str, dict[str, Any]] = {
    "NewUser": {"name": "rosa", "role": "tenant-approver", "tenant": "bitel"},
    "UserChange": {"role": "approver", "disabled": False},
    "TokenRequest": {"label": "prometheus", "scopes": ["metrics"], "days": 365},
    "TokenRotation": {"overlap_hours": 48},
    "NetworkUpload": {"files": {"network.yaml": "network:\n  id: peru-mini\n  name: Peru, small\n  country: PE\n"}},
    "ImportUpload": {
        "files": {"network.yaml": "network:\n  id: peru-mini\n  name: Peru, small\n  country: PE\n"},
        "endpoints": "station,address,credential\nPE-CUS-0145,10.64.0.145,stations\n",
        "places": "station,site\nPE-CUS-0145,cus-0145\n",
    },
    "NewHandOver": {"contact": "noc", "to": "manager", "until": "2026-12-26T06:00:00-05:00", "reason": "ill"},
    "NewDefinitions": {
        "files": {
            "rules/core-link-down.yaml": "name: core-link-down\n"
            "description: Re-create the endpoint of a tenant's core link that is down.\n"
            "match: {causes: [core-link-down]}\n"
            "ladder:\n"
            "  - ticket: Look after the link.\n"
        },
        "reason": "CHG-1042",
    },
    "NewPlan": {"selector": "region=cusco,!PE-CUS-0150", "remove": {"bitel": 42}, "expect_stations": 13},
    "PlaybookParameters": _WHAT,
    "NewPlaybookRun": _WHAT | _WHY,
    "NewRun": {"plan": "42327bc0ca30", "strategy": {"canary": 2, "policy": "unit"}} | _WHY,
    "UndoRequest": {"remove": {"bitel": 102}},
    "Answer": {"run": "r-21748f9c95", "answer": "yes"} | _WHY,
    "VoteReason": {"reason": "agreed by phone", "contracts": [{"agreement": "bitel-sierra", "clause": "7.2"}]},
    "Reason": {"reason": "not in the harvest"},
    "Selection": {"selector": "region=cusco,rat=NR"},
    "Adoption": {"selector": "region=cusco", "beside": ["TRANSPORT-1"]},
    "Promotion": {"mode": "auto", "reason": "30 of 30 in a month", "region": "cusco"},
    "ProposalAnswer": {"reason": "the fitter is on the way"},
    "BacktestRequest": {
        "files": {
            "core-link-down.yaml": "name: core-link-down\n"
            "description: Re-create the endpoint of a tenant's core link that is down.\n"
            "match: {causes: [core-link-down]}\n"
            "ladder:\n"
            "  - playbook: recreate-core-endpoint\n"
            '    parameters: {station: "{{ alarm.station }}", endpoint: "{{ alarm.object }}"}\n'
        },
        "since": "2026-12-24T00:00:00Z",
    },
    "RepairSwitch": {"stopped": True, "reason": "works on the core"},
    "AlertmanagerWebhook": {
        "version": "4",
        "alerts": [
            {
                "status": "firing",
                "labels": {"alertname": "CoreLinkDown", "station": "PE-CUS-0145", "severity": "critical"},
                "annotations": {"summary": "no core link is up"},
                "startsAt": "2026-12-26T06:00:00Z",
            }
        ],
    },
    "NewHold": {"target": "PE-CUS-0145/B28-1", "reason": "rigger on the mast", "until": "2026-12-26T06:00:00Z"},
    "NewFreeze": {"target": "region:cusco", "ends": "2026-12-26T06:00:00Z", "reason": "Christmas"},
    "PublicWarning": {
        "area": ["region:lima", "site:callao-puerto"],
        "ends": "2026-12-26T06:00:00Z",
        "text": "Tsunami warning of 20 December",
    },
    "NewWork": {"nodes": ["claro-mme-1"], "ends": "2026-12-26T06:00:00Z", "reason": "release 9"},
    "Shelving": {"until": "2026-12-26T06:00:00Z", "reason": "the part comes on Monday"},
    "Clearing": {"reason": "the unit was taken down in May"},
    "Unshelving": {"reason": "the part is here"},
    "NewComment": {"text": "a climber goes there at 9", "to": ["bitel"]},
    "NewStatement": {"reason": "files of 3 October came late"},
    "KeptStatement": {
        "json_file": '{"id": "sla-bitel-2026-10-v1"}',
        "note": "minka-statement/1\nsla-bitel-2026-10-v1\n",
    },
    "RecordDecision": {"choice": "record", "reason": "INC-77"},
    "Anchors": {"anchors": [{"epoch": 0, "number": 104233, "hash": "5a" * 32}]},
}

"""One embedded controller with the stations of peru-mini for all tests of a file."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.minka import ROOT, Embedded, embedded
from tests.support.ports import free_ports

PERU_MINI = ROOT / "deploy" / "networks" / "peru-mini"
#: Secrets of the settings, by variable; none must ever be seen anywhere.
SECRETS = {
    "MINKA_DEVICE_PASSWORD": "canary-2f9c41d7-password",
    "MINKA_WEBHOOK_TOKEN": "canary-6b0e52aa-token-of-alert-sources",
    "MINKA_VES_TOKEN": "canary-91d3c7f4-password-of-ves-sources",
}
#: Password of an Alertmanager's address at which nobody listens.
ALERTMANAGER_PASSWORD = "canary-c85e1f02-alertmanager"


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Embedded]:
    alerts = f"http://minka:{ALERTMANAGER_PASSWORD}@127.0.0.1:{free_ports(1)}"
    folder = tmp_path_factory.mktemp("up")
    with embedded(folder, PERU_MINI, 24, MINKA_ALERTMANAGER_URL=alerts, **SECRETS) as running:
        yield running

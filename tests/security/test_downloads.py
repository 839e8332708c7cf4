"""Stations fetch software from where the settings say, whatever address a request names."""

from __future__ import annotations

import pytest

from controller.models.equipment import comes_from
from controller.models.run import Outcome
from controller.models.settings import Settings
from tests.unit.playbook.test_takeover import PlaybookBench

SOURCES = ("sftp://10.0.0.1/images/", "https://images.example:8443/")
DOWNLOAD = (
    "  - {name: download, action: download-software, with: {url: 'sftp://10.0.0.1/images/a.zip', seconds: 100}}\n"
)


@pytest.mark.parametrize(
    "url",
    [
        "sftp://10.0.0.1/images/a.zip",
        "sftp://minka@10.0.0.1/images/24/a.zip",
        "https://images.example:8443/a.zip",
        "https://IMAGES.example:8443/a.zip",
    ],
)
def test_what_lies_below_is_fetched(url: str) -> None:
    assert comes_from(url, SOURCES)
    assert not comes_from(url, ())


@pytest.mark.parametrize(
    "url",
    [
        "sftp://10.0.0.2/images/a.zip",
        "sftp://10.0.0.1/other/a.zip",
        "sftp://10.0.0.1/images",
        "sftp://10.0.0.1:2222/images/a.zip",
        "ftp://10.0.0.1/images/a.zip",
        "sftp://10.0.0.1/images/../other/a.zip",
        "sftp://10.0.0.1/images/%2e%2e/other/a.zip",
        "sftp://10.0.0.1/images/%252e%252e/other/a.zip",
        "sftp://10.0.0.1/images/..\\other/a.zip",
        "sftp://10.0.0.1@evil.example/images/a.zip",
        "sftp://10.0.0.1\\@evil.example/images/a.zip",
        "sftp://evil.example#@10.0.0.1/images/a.zip",
        "sftp://evil.example?@10.0.0.1/images/a.zip",
        "sftp://10.0.0.1.evil.example/images/a.zip",
        "sftp://10.0.0.1/images/a\t.zip",
        "https://images.example/a.zip",
        "file:///images/a.zip",
        "//10.0.0.1/images/a.zip",
    ],
)
def test_what_does_not_is_refused(url: str) -> None:
    assert not comes_from(url, SOURCES)


async def test_a_run_sends_no_station_elsewhere() -> None:
    bench = PlaybookBench(DOWNLOAD, sources=("sftp://10.0.0.2/",))
    job = await bench.work()
    assert job.outcome is Outcome.REFUSED
    assert "MINKA_SOFTWARE_SOURCES names, which is sftp://10.0.0.2/: sftp://10.0.0.1/images/a.zip" in job.detail
    assert not bench.device.equipment.sent


def test_settings_name_folders() -> None:
    assert Settings(software_sources="").software_sources == ""
    assert Settings(software_sources="sftp://a/ https://b/c/").software_sources.split() == ["sftp://a/", "https://b/c/"]
    for wrong in ("sftp://a", "a/", "sftp://a/ b"):
        with pytest.raises(ValueError, match="software_sources"):
            Settings(software_sources=wrong)

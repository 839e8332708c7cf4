"""The page of metrics: its formats, and who gets which."""

from __future__ import annotations

import gzip
import re
from pathlib import Path

import pytest

from controller.api import process
from controller.models.definitions import DefinitionFiles
from controller.models.network import network_digest
from controller.models.people import Permission, Role
from controller.models.settings import Settings
from controller.observe.exposition import ScrapeScope
from controller.ports.clock import VirtualClock
from tests.support.callers import admit
from tests.support.definitions import put_in_force, shipped_files
from tests.unit.api.bench import ApiBench
from tests.unit.plan import samples

#: As Prometheus asks.
ACCEPT = "application/openmetrics-text;version=1.0.0;q=0.6,text/plain;version=0.0.4;q=0.5,*/*;q=0.1"


async def test_the_format_is_what_is_asked_for(bench: ApiBench) -> None:
    plain = await bench.client.get("/metrics", headers={"Accept-Encoding": "identity"})
    assert plain.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert "content-encoding" not in plain.headers
    asked = await bench.client.get("/metrics", headers={"Accept": ACCEPT, "Accept-Encoding": "gzip"})
    assert asked.headers["content-type"] == "application/openmetrics-text; version=1.0.0; charset=utf-8"
    assert asked.headers["content-encoding"] == "gzip"
    assert asked.headers["vary"] == "Accept, Accept-Encoding"
    assert asked.text.endswith("# EOF\n")
    assert len(asked.content) > 3 * int(asked.headers["content-length"]) > len(gzip.compress(asked.content))


async def test_a_tenant_gets_its_own_page_and_no_other(bench: ApiBench) -> None:
    net = samples.network()
    bench.store.networks.save(net, network_digest(net), "ana")
    admit(bench.store, "of-alfa", "rosa", Role.TENANT_VIEWER, "alfa", scopes=(Permission.METRICS,))
    headers = {"Authorization": "Bearer of-alfa"}
    own = await bench.anonymous.get("/metrics", headers=headers)
    assert own.status_code == 200
    assert 'minka_tenant_info{tenant="alfa"' in own.text
    assert "beta" not in own.text
    assert (await bench.client.get("/metrics", params={"tenant": "alfa"})).text == own.text
    for query in ({"tenant": "beta"}, {"tenant": "nobody"}, {"region": "elsewhere"}):
        refused = await bench.anonymous.get("/metrics", params=query, headers=headers)
        assert refused.status_code == 404


def test_rules_and_indicators_are_those_in_force_at_each_scrape(bench: ApiBench, tmp_path: Path) -> None:
    page = process._exposition(Settings(home=tmp_path), bench.store, VirtualClock())
    whole = page(ScrapeScope()).decode()
    assert 'minka_rule_mode{mode="observe",rule="sleeping-cell",scope=""} 1.0' in whole
    assert 'minka_kpi_info{kpi="retainability"' in whole
    shipped, wrong = shipped_files().texts, {"rules/sleeping-cell.yaml": "nam: x", "kpis/retainability.yaml": "nam: x"}
    put_in_force(bench.store, files=DefinitionFiles({**shipped, **wrong}))
    whole = page(ScrapeScope()).decode()
    assert 'minka_rule_mode{mode="observe",rule="core-link-down",scope=""} 1.0' in whole, "others stay"
    assert 'minka_kpi_info{kpi="accessibility"' in whole
    assert not re.search('^minka_(rule_mode|kpi_info){.*"(sleeping-cell|retainability)"', whole, re.MULTILINE)


@pytest.mark.parametrize(("query", "status"), [({"region": "r"}, 200), ({"region": "x"}, 404), ({"part": "x"}, 422)])
async def test_what_is_not_there_is_named(bench: ApiBench, query: dict[str, str], status: int) -> None:
    net = samples.network()
    bench.store.networks.save(net, network_digest(net), "ana")
    assert (await bench.client.get("/metrics", params=query)).status_code == status

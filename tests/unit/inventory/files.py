"""A small valid network, and ways to break it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from controller.inventory.load import load_network
from controller.models.credentials import Credentials
from controller.models.errors import NetworkFilesError

_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBYv2B6jWVgPqkUIEW3tisvC5RAZh5hGhOUvlKq6xGCe"

FILES: Mapping[str, str] = {
    "network.yaml": """\
network:
  id: test
  name: Test network
  country: PE
  timezone: America/Lima
  management:
    username: minka
    credential: test-password
regions:
- id: cusco
  name: Cusco
- id: puno
  name: Puno
backhaul:
- id: core
  kind: fibre
- id: hill
  kind: microwave
  parent: core
- id: peak
  kind: microwave
  parent: hill
""",
    "tenants.yaml": """\
tenants:
- id: movistar
  name: Movistar
  plmns: [716-06]
  slices:
  - {sst: 1, sd: 000601}
  core:
    vlan: 1006
    mme_pool:
    - {id: mme-lima, address: 10.6.1.11}
    amf_pool:
    - {id: amf-lima, address: 10.6.2.11}
- id: bitel
  name: Bitel
  plmns: [716-15]
  core:
    vlan: 1015
    mme_pool:
    - {id: mme-lima, address: 10.15.1.11}
""",
    "agreements.yaml": """\
agreements:
- id: movistar-all
  tenant: movistar
  scope:
    everywhere: true
  shares:
  - {resource: PRB, dedicated: 10, min: 30, max: 100}
  validity:
    start: 2024-01-01
    end: 2030-12-31
- id: bitel-cusco
  tenant: bitel
  scope:
    regions: [cusco]
    bands: [B28]
  validity:
    start: 2024-01-01
  windows:
  - {days: [sat, sun], start: 23:00, end: 04:30}
  consents:
    restore: standing
""",
    "sites.csv": """\
id,name,region,latitude,longitude,backhaul
cusco-1,Cusco,cusco,-13.5,-71.9,hill
puno-1,Puno,puno,-15.8,-70.0,
""",
    "stations.csv": """\
id,site,profiles,transport_address,enb_id,gnb_id,gnb_id_length
PE-CUS-0001,cusco-1,lte-28658 nr-28541,10.64.0.1,1,1,24
PE-PUN-0001,puno-1,lte-28658,10.64.0.2,2,,
""",
    "cells.csv": """\
station,id,rat,local_id,band,arfcn_dl,arfcn_ul,bandwidth_mhz,pci,tac,primary_plmn,max_tx_power_dbm,prach_root,ssb_arfcn
PE-CUS-0001,B28-1,LTE,1,B28,9285,27285,15,1,101,716-06,46.5,837,
PE-CUS-0001,n78-1,NR,1,n78,630000,630000,100,1007,70101,716-06,49.54,,
PE-PUN-0001,B28-1,LTE,1,B28,9285,27285,15,2,102,716-06,,,
PE-PUN-0001,B40-1,LTE,2,B40,38950,38950,20,2,102,716-06,,,
""",
    "own_cells.csv": """\
tenant,station,cell,tac,node_id,node_id_length,local_id
bitel,PE-CUS-0001,B28-1,5001,700,20,1
""",
    "neighbours.csv": """\
station,cell,neighbour_station,neighbour_cell,handover
PE-CUS-0001,B28-1,PE-PUN-0001,B28-1,true
PE-PUN-0001,B28-1,PE-CUS-0001,B28-1,false
""",
    "routers.csv": "id,site,address\nRT-1,cusco-1,10.0.0.1\n",
    "endpoints.csv": f"""\
station,address,port,host_key
PE-CUS-0001,127.0.0.1,8301,{_KEY}
PE-PUN-0001,127.0.0.1,8302,{_KEY}
""",
}

_DIGEST = "@sha256:" + "5f" * 31

#: The small network with its first station virtual: what is added to ``FILES``, or stands in place of theirs.
CLOUD: Mapping[str, str] = {
    **FILES,
    "stations.csv": """\
id,site,profiles,transport_address,enb_id,gnb_id,gnb_id_length,functions
PE-CUS-0001,cusco-1,nr-28541,10.64.0.1,,1,24,DU-1 CP-1 UP-1
PE-PUN-0001,puno-1,lte-28658,10.64.0.2,2,,,
""",
    "cells.csv": """\
station,id,rat,local_id,band,arfcn_dl,arfcn_ul,bandwidth_mhz,pci,tac,primary_plmn
PE-CUS-0001,n78-1,NR,1,n78,630000,630000,100,1007,70101,716-06
PE-PUN-0001,B28-1,LTE,1,B28,9285,27285,15,2,102,716-06
""",
    "own_cells.csv": "tenant,station,cell,tac,node_id,node_id_length,local_id\n",
    "neighbours.csv": "station,cell,neighbour_station,neighbour_cell\n",
    "pools.csv": """\
id,where,region,site,address,port,authority,credential,spare_nodes
edge-1,edge,cusco,,10.9.0.1,,pool-authority,pool-token,
site-1,site,cusco,cusco-1,10.9.0.2,16443,pool-authority,pool-token,0
""",
    "nodes.csv": """\
pool,id,cpus,memory_gb,hugepages_gb,accelerators,ptp,failure_domain
edge-1,node-a,32,128,64,2,true,rack-1
edge-1,node-b,32,128,64,2,true,
site-1,node-a,16,64,32,1,true,
""",
    "latencies.csv": """\
pool,site,microseconds
edge-1,cusco-1,80
edge-1,puno-1,900
""",
    "packages.csv": f"""\
id,kind,vendor,version,image,cpus,memory_gb,hugepages_gb,accelerators,ptp,gbps,start_seconds,profiles,f1,e1
du-24,vdu,Acme,24.2.1,registry.example/acme/du{_DIGEST}d1,8,16,8,1,true,,40,nr-28541,17.4 17.5,
cp-24,vcu-cp,Acme,24.2.1,registry.example/acme/cp{_DIGEST}c1,4,8,,,,,30,,17.5,17.2
up-24,vcu-up,Acme,24.2.1,registry.example/acme/up{_DIGEST}e1,6,8,4,,,10,20,,,17.2
""",
    "functions.csv": """\
id,package,owner,replicas,pool,max_latency_us,apart_from,address
DU-1,du-24,,,,100,,10.9.1.1
CP-1,cp-24,,2,,5000,,
UP-1,up-24,movistar,,edge-1,5000,CP-1,
""",
}


def write(directory: Path, changes: Mapping[str, str] | None = None) -> Path:
    """Write the small network with some files changed or added."""
    for name, content in {**FILES, **(changes or {})}.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8", newline="")
    return directory


def changed(file: str, old: str, new: str) -> dict[str, str]:
    """One file with one place changed."""
    assert FILES[file].count(old) >= 1, f"{old!r} is not in {file}"
    return {file: FILES[file].replace(old, new, 1)}


def problems(directory: Path, changes: Mapping[str, str], credentials: Credentials | None = None) -> list[str]:
    """What the loader says about the small network with these changes."""
    write(directory, changes)
    with pytest.raises(NetworkFilesError) as caught:
        load_network(directory, credentials=credentials)
    assert str(caught.value) == "\n".join(map(str, caught.value.problems))
    return [str(problem) for problem in caught.value.problems]

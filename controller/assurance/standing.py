"""The health on record of all managed nodes."""

from __future__ import annotations

from controller.assurance.health import NOT_LOOKED_AT, unread
from controller.models.health import Health
from controller.ports.store import Store


def standing_health(store: Store) -> list[Health]:
    """Latest health of every adopted station, by id.

    Of one that was not looked at yet, its cells and core links on the ledger are known, and nothing of their state.

    Raises:
        StoreError: The database is away.
    """
    adopted = {name: record.adopted for name, record in store.devices.find().items() if record.adopted is not None}
    healths = store.healths.find()
    ledger = store.ledger.find(adopted.keys() - healths.keys())
    return [
        healths.get(name) or unread(name, ledger.get(name, {}), None, adopted[name], NOT_LOOKED_AT)
        for name in sorted(adopted)
    ]

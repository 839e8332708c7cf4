"""The O2 IMS of a pool: inventory and alarms of its servers."""

"""Network files: reading, checking, writing; the backhaul tree; selecting stations."""

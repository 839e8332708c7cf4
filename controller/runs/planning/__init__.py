"""Makes plans and network files from live stations; stations are only read."""

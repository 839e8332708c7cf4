"""Plans from stations as they are, and network files from them; stations are only read."""

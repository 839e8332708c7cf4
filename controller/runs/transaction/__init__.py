"""One device's transaction: lock, probe, edit, confirmed commit, checks, and its end."""

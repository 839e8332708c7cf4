"""In what order a run's jobs begin, and what is decided for groups of them. Pure."""

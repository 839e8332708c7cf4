"""The order in which a run's jobs begin, and the decisions for groups. Pure."""

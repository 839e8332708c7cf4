"""Performance: counters of stations in one vocabulary, over time, and what they mean (pure)."""

"""Performance: what stations count, in one vocabulary, over time, and what it means (pure)."""

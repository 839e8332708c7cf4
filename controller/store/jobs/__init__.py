"""Jobs of runs: their rows, steps and journal, and what they left on stations."""

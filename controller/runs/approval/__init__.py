"""Who has to agree to a run, and when its jobs may begin."""

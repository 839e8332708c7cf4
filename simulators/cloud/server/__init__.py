"""The API server of a pool: its store, verbs, watches, access and HTTP."""

"""The ``minka`` command: a client of the API, and the starter of its processes."""

"""The ``minka`` command: calls the API, and starts Minka's processes."""

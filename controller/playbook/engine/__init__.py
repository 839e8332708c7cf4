"""Executes playbooks: from a request to a run, the job of each device, dry runs."""

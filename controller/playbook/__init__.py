"""Playbooks: the language, the registry of actions, and how a run executes them."""

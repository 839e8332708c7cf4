"""Frozen nouns shared by every layer: network files, facts, plans, runs, alarms, errors and settings."""

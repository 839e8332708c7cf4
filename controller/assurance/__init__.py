"""Assurance: is what was promised on air? Health, and alarms from our own checks."""

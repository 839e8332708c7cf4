"""Alarms: what was reported, what it means, whom it concerns, and rules that answer."""

"""Metrics, logs and escalation webhooks."""

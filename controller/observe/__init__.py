"""Metrics, logs, heartbeats, and messages to people and other programs."""

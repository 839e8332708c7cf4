"""Incidents and the outages that they are: rows, minutes, and whom they are told."""

"""Simulated routers without SSH."""

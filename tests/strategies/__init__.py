"""Hypothesis strategies shared by property tests."""

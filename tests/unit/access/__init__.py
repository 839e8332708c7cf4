"""Tests of what tenants are told."""

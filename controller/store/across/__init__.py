"""Repositories and queries that reach across the nouns of the record."""

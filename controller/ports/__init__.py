"""Protocols of everything outside the pure core, each with a shipped in-memory fake."""

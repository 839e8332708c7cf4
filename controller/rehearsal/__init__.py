"""Rehearsal: the real controller on simulated stations, in one process and in virtual time.

It alone knows both sides, and nobody imports it.
"""

"""Runs: what was asked for, who agreed, how it goes on, and the claims of workers."""

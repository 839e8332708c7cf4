"""The control interface of a fleet: HTTP on loopback."""

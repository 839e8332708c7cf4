"""Stations: NETCONF over SSH (RFC 6242) and TLS (RFC 7589), connected to or calling home (RFC 8071)."""

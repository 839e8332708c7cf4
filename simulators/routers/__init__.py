"""Simulated cell-site routers: an SSH command line in the manner of IOS, and the forwarding behind it."""

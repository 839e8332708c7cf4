"""Routers: command lines over SSH, by netmiko in threads."""

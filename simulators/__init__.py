"""Simulated base stations: a fleet of NETCONF servers that behave like field equipment.

Nothing here imports the controller, so that simulator and controller can't share a mistake.
"""

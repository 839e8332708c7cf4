"""Simulated base stations: a fleet of NETCONF servers that behave like field equipment.

Nothing here imports the controller, so that a simulator can never flatter it by sharing its mistakes.
"""

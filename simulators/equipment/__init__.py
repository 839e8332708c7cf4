"""The equipment of a simulated base station: radio, alarms, faults, software, traffic and its counters."""

"""The listener: always-on sessions to stations, whose notifications become alarms."""

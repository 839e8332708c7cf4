"""The listener: permanent sessions to stations, whose notifications become alarms."""

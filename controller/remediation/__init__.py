"""Remediation: rules, guards, repair runs, verification, escalation. It owns no path to devices."""

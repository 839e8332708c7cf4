"""Assurance: whether stations carry and serve what was applied. Health, and alarms from Minka's own checks."""

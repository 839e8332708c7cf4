"""What people and third parties write: playbooks, parameters, expressions, and the registry of actions."""

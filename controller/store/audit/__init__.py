"""The audit trail, also of a single device, and doubts whether the record is whole."""

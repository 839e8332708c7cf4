"""The shipped actions, by subject."""

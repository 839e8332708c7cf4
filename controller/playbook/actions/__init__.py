"""The shipped actions, by what they are about."""

"""People: accounts, sessions, tokens, and their comments."""

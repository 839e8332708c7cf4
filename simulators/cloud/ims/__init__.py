"""The O2 IMS of a pool: what its servers are, and what is wrong with them."""

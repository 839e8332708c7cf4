"""The database: engine, transactions, the audit chain that each adds to, and the base of repositories."""

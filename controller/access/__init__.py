"""Who may do what, and what a tenant is told. Pure."""

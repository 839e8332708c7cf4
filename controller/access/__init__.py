"""Who may do what, and what a tenant may see. Pure."""

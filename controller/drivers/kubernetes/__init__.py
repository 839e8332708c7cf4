"""Functions and pools over the Kubernetes API, and the O2 IMS of pools."""

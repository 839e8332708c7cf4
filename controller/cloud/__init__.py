"""Functions and pools over the Kubernetes API."""

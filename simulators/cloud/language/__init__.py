"""The language of a Kubernetes API server, without the server: pure.

Schemas with defaults, pruning and validation; the built-in kinds; patches; Server-Side Apply; OpenAPI; errors.
"""

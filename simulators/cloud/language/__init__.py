"""What a Kubernetes API server says and understands, without a server: pure, and used by it.

Schemas with defaults, pruning and validation; the built-in kinds; patches; Server-Side Apply; OpenAPI; errors.
"""

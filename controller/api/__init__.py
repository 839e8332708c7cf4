"""The HTTP API: FastAPI routes over the store, the planner and the queue."""

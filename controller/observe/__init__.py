"""What goes out beside the API: figures, logs, heartbeats, and messages to people and other programs."""

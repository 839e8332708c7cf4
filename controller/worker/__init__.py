"""The worker process: a Celery consumer that only wakes, and the loop that does the work."""

"""Celery, which wakes workers and schedulers. Messages carry run ids only; the database is the record."""

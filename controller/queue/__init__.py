"""The Celery doorbell. Its messages carry run ids only; the database is the record."""

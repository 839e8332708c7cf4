"""Runs migrations on the connection that ``controller.store.upgrade`` provides."""

from __future__ import annotations

from alembic import context

from controller.store.database.columns import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
with context.begin_transaction():
    context.run_migrations()

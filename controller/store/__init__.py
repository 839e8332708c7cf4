"""The record: SQLite or PostgreSQL behind the ``Store`` port; the only place that knows SQLAlchemy."""

from controller.store.loop import LoopStore
from controller.store.store import AsyncSqlStore, SqlStore, open_store
from controller.store.upgrade import upgrade

__all__ = ["AsyncSqlStore", "LoopStore", "SqlStore", "open_store", "upgrade"]

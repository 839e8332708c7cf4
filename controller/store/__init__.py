"""The store on SQLite or PostgreSQL. No other package of the controller uses SQLAlchemy."""

from controller.store.loop import LoopStore
from controller.store.store import AsyncSqlStore, SqlStore, open_store
from controller.store.upgrade import upgrade

__all__ = ["AsyncSqlStore", "LoopStore", "SqlStore", "open_store", "upgrade"]

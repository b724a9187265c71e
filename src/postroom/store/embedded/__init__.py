"""The store on SQLite files and folders; what one machine needs and nothing else to install."""

from postroom.store.embedded.store import EmbeddedStore, StoreOptions

__all__ = ["EmbeddedStore", "StoreOptions"]

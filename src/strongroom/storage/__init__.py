"""The store: SQLite or PostgreSQL behind the ports of the domain.

`open_storage` of `strongroom.storage.store` is the way in; only this package builds or runs SQL.
"""

"""Alembic migrations; they run at start, from inside the package."""

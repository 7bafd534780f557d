"""Siyu remembers here: SQLModel tables and everything that is SQL."""

"""PostgreSQL's picture of the tables, kept up while they grow fast.

Its own autovacuum looks once a minute. Until it has looked at a new table the planner guesses, and
what it planned for ten rows it goes on doing with a hundred thousand: in the first minute of a
flood, finding known messages took half of the bot's time.
"""

from __future__ import annotations

from sqlalchemy import Connection

from storage.sql import fetch

LEAST = 500  # rows changed since the last look; fewer are not worth it
FACTOR = 2  # and this many times what there was then

_OUTGROWN = """
    SELECT quote_ident(s.relname) FROM pg_stat_user_tables s JOIN pg_class c ON c.oid = s.relid
    WHERE s.schemaname = current_schema()
      AND s.n_mod_since_analyze > GREATEST(?, ? * c.reltuples)
"""


def keep_up(connection: Connection) -> list[str]:
    """Look at the tables that have outgrown their statistics; their names. PostgreSQL only."""
    names = [row[0] for row in fetch(connection, _OUTGROWN, LEAST, FACTOR)]
    for name in names:
        connection.exec_driver_sql(f"ANALYZE (SKIP_LOCKED) {name}")
    return names

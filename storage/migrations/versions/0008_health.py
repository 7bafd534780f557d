"""Account health, imports"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """What orders came to; how old an account is, and what went wrong with it."""
    op.add_column("event", sa.Column("amount", sa.BigInteger(), nullable=True))
    op.add_column("account", sa.Column("first_login_at", sa.BigInteger(), nullable=True))
    op.add_column("account", sa.Column("care_until", sa.BigInteger(), nullable=True))
    op.add_column(
        "account", sa.Column("care_because", sa.Text(), nullable=False, server_default="")
    )
    # An account that was here before is as old as the first person it knew.
    op.execute(
        "UPDATE account SET first_login_at = (SELECT MIN(first_seen_at) FROM contact"
        " WHERE contact.account_id = account.id)"
    )
    op.create_table(
        "accountsignal",
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("account_id", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("because", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("accountsignal_at", "accountsignal", ["account_id", "at"])
    _left_index(["account_id", "left_at", "kind"])


def downgrade() -> None:
    """Back to accounts without an age."""
    _left_index(["account_id", "left_at"])
    op.drop_index("accountsignal_at", table_name="accountsignal")
    op.drop_table("accountsignal")
    op.drop_column("account", "care_because")
    op.drop_column("account", "care_until")
    op.drop_column("account", "first_login_at")
    op.drop_column("event", "amount")


def _left_index(columns: list[str]) -> None:
    op.drop_index("outbox_left", table_name="outbox")
    op.create_index(
        "outbox_left",
        "outbox",
        columns,
        sqlite_where=sa.text("left_at IS NOT NULL"),
        postgresql_where=sa.text("left_at IS NOT NULL"),
    )

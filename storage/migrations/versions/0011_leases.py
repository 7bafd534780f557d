"""Leases of accounts; on PostgreSQL, ids from a sequence that no transaction holds"""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "lease",
        sa.Column("account_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("holder", sa.Text(), nullable=False),
        sa.Column("host", sa.Text(), nullable=False),
        sa.Column("pid", sa.Integer(), nullable=False),
        sa.Column("folder", sa.Text(), nullable=False),
        sa.Column("place", sa.Text(), nullable=False),
        sa.Column("endpoint", sa.Text(), nullable=False),
        sa.Column("taken_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("account_id"),
    )
    if op.get_bind().dialect.name == "postgresql":
        op.execute("CREATE SEQUENCE siyu_ids OWNED BY counter.next")
        op.execute(
            "SELECT setval('siyu_ids',"
            " COALESCE((SELECT next FROM counter WHERE name = 'id'), 1), false)"
        )
        op.execute("ALTER SEQUENCE siyu_ids INCREMENT BY 1000")


def downgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.execute(
            "INSERT INTO counter (name, next) VALUES ('id', nextval('siyu_ids'))"
            " ON CONFLICT (name) DO UPDATE SET next = excluded.next"
        )
        op.execute("DROP SEQUENCE siyu_ids")
    op.drop_table("lease")

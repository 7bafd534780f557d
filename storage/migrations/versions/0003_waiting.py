"""Why an account holds back, once instead of on every message that waits"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "accounthold",
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("account_id", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("until", sa.BigInteger(), nullable=True),
        sa.Column("because", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    with op.batch_alter_table("accounthold", schema=None) as batch_op:
        batch_op.create_index(
            "accounthold_open",
            ["account_id"],
            unique=True,
            sqlite_where=sa.text("until IS NULL"),
            postgresql_where=sa.text("until IS NULL"),
        )
    # Conditions count one kind of events, and a chat is one kind of them.
    with op.batch_alter_table("event", schema=None) as batch_op:
        batch_op.drop_index("event_contact")
        batch_op.create_index("event_contact", ["contact_id", "kind", "at"])


def downgrade() -> None:
    with op.batch_alter_table("event", schema=None) as batch_op:
        batch_op.drop_index("event_contact")
        batch_op.create_index("event_contact", ["contact_id", "at"])
    with op.batch_alter_table("accounthold", schema=None) as batch_op:
        batch_op.drop_index(
            "accounthold_open",
            sqlite_where=sa.text("until IS NULL"),
            postgresql_where=sa.text("until IS NULL"),
        )
    op.drop_table("accounthold")

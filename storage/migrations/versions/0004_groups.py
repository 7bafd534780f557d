"""Groups as members of the house"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "invitation",
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("group_id", sa.BigInteger(), nullable=False),
        sa.Column("contact_id", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("joined_at", sa.BigInteger(), nullable=True),
        sa.Column("by_hand", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    with op.batch_alter_table("invitation", schema=None) as batch_op:
        batch_op.create_index("invitation_contact", ["contact_id"], unique=False)
        batch_op.create_index(
            "invitation_open",
            ["group_id"],
            unique=False,
            sqlite_where=sa.text("joined_at IS NULL"),
            postgresql_where=sa.text("joined_at IS NULL"),
        )
    with op.batch_alter_table("enrollment", schema=None) as batch_op:
        batch_op.add_column(sa.Column("group_id", sa.BigInteger(), nullable=True))
    with op.batch_alter_table("room", schema=None) as batch_op:
        batch_op.add_column(sa.Column("binding", sa.String(), nullable=False, server_default=""))
        batch_op.add_column(sa.Column("entry", sa.Text(), nullable=False, server_default=""))
        batch_op.add_column(sa.Column("missing_at", sa.BigInteger(), nullable=True))
    # What `groups:` gave a kind or a tag before was bound by its name, and stays so.
    op.execute(
        "UPDATE room SET binding = 'bound' WHERE kind <> '' OR id IN"
        " (SELECT subject_id FROM tagging WHERE source LIKE 'groups:%')"
    )


def downgrade() -> None:
    with op.batch_alter_table("room", schema=None) as batch_op:
        batch_op.drop_column("missing_at")
        batch_op.drop_column("entry")
        batch_op.drop_column("binding")
    with op.batch_alter_table("enrollment", schema=None) as batch_op:
        batch_op.drop_column("group_id")
    with op.batch_alter_table("invitation", schema=None) as batch_op:
        batch_op.drop_index(
            "invitation_open",
            sqlite_where=sa.text("joined_at IS NULL"),
            postgresql_where=sa.text("joined_at IS NULL"),
        )
        batch_op.drop_index("invitation_contact")
    op.drop_table("invitation")

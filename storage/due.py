"""When something of an account's is due next: one question, asked every turn."""

from __future__ import annotations

from storage.sql import fetch
from storage.store import Tx

# The ordered ones stop at the first row; MIN would read every tag that expires and every walk.
_EARLIEST = """
SELECT
 (SELECT MIN(due_at) FROM gathering JOIN room ON room.id = gathering.group_id
   WHERE account_id = ?),
 (SELECT tagging.expires_at FROM tagging
   LEFT JOIN contact ON contact.id = tagging.subject_id
   LEFT JOIN room ON room.id = tagging.subject_id
   WHERE COALESCE(contact.account_id, room.account_id) = ? AND tagging.expires_at IS NOT NULL
   ORDER BY tagging.expires_at LIMIT 1),
 (SELECT due_at FROM enrollment WHERE state = 'active' AND due_at IS NOT NULL AND account_id = ?
   AND sop NOT IN (SELECT sop FROM soppause) ORDER BY due_at LIMIT 1),
 (SELECT MIN(due_at) FROM run WHERE account_id = ? AND due_at IS NOT NULL)
"""


def next_due(tx: Tx, account: int) -> int | None:
    """When a gathered answer, a tag's end, a walk not paused, or a run is due first; ms UTC."""
    times = fetch(tx.connection, _EARLIEST, account, account, account, account)[0]
    return min((int(time) for time in times if time is not None), default=None)

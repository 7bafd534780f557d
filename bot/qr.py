"""A QR code drawn with characters, for scanning from a terminal."""

from __future__ import annotations

import io

from qrcode import QRCode


def terminal_code(text: str) -> str:
    """The QR code of `text`, two modules a character."""
    code = QRCode(border=1)
    code.add_data(text)
    out = io.StringIO()
    code.print_ascii(out=out, invert=True)
    return out.getvalue().rstrip("\n")

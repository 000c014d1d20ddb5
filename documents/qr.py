"""QR codes for notices and sheets.

Owns the drawing of an address as SVG; which address may be printed is the caller's decision.
"""

import io

import segno


def qr_svg(text: str) -> str:
    """Return a QR code (error correction M) as an SVG without XML header, for pages and typst alike."""
    buffer = io.BytesIO()
    segno.make(text, error="m", micro=False).save(
        buffer, kind="svg", xmldecl=False, border=2, svgclass=None, lineclass=None, omitsize=True
    )
    return buffer.getvalue().decode()

"""Files that pages send and keep: media types, the answer saved under its name, where evidence lies."""

from urllib.parse import quote

from fastapi import Response

XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
PDF = "application/pdf"
ATTACHMENTS = "attachments"
"""The folder of the data directory that keeps uploaded files by their content hash."""


def attached(content: bytes, media_type: str, name: str) -> Response:
    """Return a file to be saved under its Chinese name; it is stored nowhere on the way."""
    disposition = f"attachment; filename*=UTF-8''{quote(name)}"
    return Response(
        content,
        media_type=media_type,
        headers={"Content-Disposition": disposition, "Cache-Control": "no-store"},
    )

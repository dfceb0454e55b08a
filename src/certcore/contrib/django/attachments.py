"""Downloads: responses that a browser saves as a file, and ZIP archives of several files."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterable
from typing import Final

from django.http import HttpResponse
from django.views.decorators.debug import sensitive_variables

from certcore.plugin import ExportedFile

__all__ = ["archive", "attachment"]

_MEDIA_TYPES: Final = {
    ".zip": "application/zip",
    ".pem": "application/x-pem-file",
    ".p12": "application/x-pkcs12",
    ".pfx": "application/x-pkcs12",
    ".p7b": "application/x-pkcs7-certificates",
    ".der": "application/octet-stream",
}
_ANY: Final = "application/octet-stream"


def attachment(name: str, content: bytes, media_type: str = "") -> HttpResponse:
    """Return a response that browsers save as a file, and neither interpret nor cache.

    Args:
        name: The name of the file. It is not escaped: pass only names without quotes and control characters.
        content: The content of the file.
        media_type: The media type; if empty, it follows from the extension of the name.
    """
    ending = f".{name.rpartition('.')[2]}"
    response = HttpResponse(content, content_type=media_type or _MEDIA_TYPES.get(ending, _ANY))
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    response["X-Content-Type-Options"] = "nosniff"
    response["Cache-Control"] = "no-store"
    return response


@sensitive_variables()
def archive(files: Iterable[tuple[str, ExportedFile]]) -> bytes:
    """Pack files into a ZIP archive. Each entry has the mode of its file.

    Args:
        files: Each file with its folder in the archive; an empty folder is the top level.
    """
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as packed:
        for folder, file in files:
            entry = zipfile.ZipInfo(f"{folder}/{file.name}" if folder else file.name)
            entry.external_attr = (0o100000 | file.mode) << 16
            packed.writestr(entry, file.content)
    return buffer.getvalue()

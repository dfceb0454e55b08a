"""Errors about the machine that certcore runs on: files and missing packages."""

from __future__ import annotations

from certcore.errors.base import CertCoreError
from certcore.messages import Message

__all__ = ["FileError", "MissingPackageError", "TakeoverError"]


class FileError(CertCoreError):
    """A file or directory cannot be read or written, or its permissions are not safe for a private key."""

    code = "file_error"


class MissingPackageError(CertCoreError):
    """An optional Python package is not installed.

    Args:
        user: What needs the package, as the subject of a sentence.
        package: The package's name.
        extra: The extra of certcore that installs it.
    """

    code = "missing_package"
    param_names = ("user", "package", "extra")

    def __init__(self, user: str, package: str, *, extra: str) -> None:
        params = {"user": user, "package": package, "extra": extra}
        super().__init__(
            Message("error.missing_package", "{user} needs the package {package}, which is not installed.", params),
            advice=Message("error.missing_package.advice", "Run: pip install 'certcore[{extra}]'", params),
        )
        self.user = user
        self.package = package
        self.extra = extra


class TakeoverError(CertCoreError):
    """The files of another ACME client are damaged, unsafe to read, or of a kind that is not known."""

    code = "takeover_error"
    http_status = 422

"""Validate the files that CA modules offer for download."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any, Final

from certcore.engine.module_context import secrets_in
from certcore.engine.step_validation import PRIVATE_KEY, SHORTEST_SECRET
from certcore.model.export import is_safe_file_name
from certcore.model.plugin_calls import call_plugin
from certcore.model.plugin_results import UnexpectedResultError, conform
from certcore.model.secret import Secret
from certcore.model.views import CertificateView
from certcore.ports.ca_module import CAModule, ModuleContext
from certcore.ports.module_files import ModuleFile, SupportsFiles

__all__ = ["certificate_files", "profile_files", "sound_files"]

_MEDIA_TYPE: Final = re.compile(r"[a-z0-9][a-z0-9!#$&^_.+-]{0,63}/[a-z0-9][a-z0-9!#$&^_.+-]{0,63}")
#: Media types that a browser may execute as part of the panel's site.
_ACTIVE: Final = re.compile(r"text/(?!plain$|csv$).*|(multipart|message)/.*|.*(html|xml|script|flash).*")
_MOST_FILES: Final = 20
_MOST_BYTES: Final = 10 * 1024 * 1024


def profile_files(name: str, module: CAModule[Any, Any], context: ModuleContext) -> Sequence[ModuleFile]:
    """The files of a CA profile; empty if its module has none.

    Raises:
        PluginError: The module failed or returned files that are not allowed.
    """
    if not isinstance(module, SupportsFiles):
        return ()
    check = partial(sound_files, secrets=secrets_in(context.profile))
    files: Sequence[ModuleFile] = call_plugin(name, "profile_files", module.profile_files, context, returns=check)
    return files


def certificate_files(
    name: str, module: CAModule[Any, Any], view: CertificateView, context: ModuleContext
) -> Sequence[ModuleFile]:
    """The files of a certificate; empty if its module has none.

    Raises:
        PluginError: As in `profile_files`.
    """
    if not isinstance(module, SupportsFiles):
        return ()
    check = partial(sound_files, secrets=secrets_in(context.profile))
    call = module.certificate_files
    files: Sequence[ModuleFile] = call_plugin(name, "certificate_files", call, view, context, returns=check)
    return files


def sound_files(returned: object, *, secrets: Iterable[Secret] = ()) -> tuple[ModuleFile, ...]:
    """Validate the files that a module returned.

    Args:
        returned: The returned value.
        secrets: Secrets that must not appear in the files.

    Raises:
        UnexpectedResultError: The value has another type, or a file is not allowed.
    """
    files: tuple[ModuleFile, ...] = conform(returned, tuple[ModuleFile, ...])
    size = sum(len(file.content) for file in files)
    if len(files) > _MOST_FILES or size > _MOST_BYTES:
        raise UnexpectedResultError(
            f"{len(files)} files of {size} bytes; {_MOST_FILES} files of {_MOST_BYTES} bytes are allowed"
        )
    names = [file.name.lower() for file in files]
    hidden = [secret.reveal() for secret in secrets if len(secret.reveal()) >= SHORTEST_SECRET]
    for file in files:
        shown = repr(file.name[:60])
        if not is_safe_file_name(file.name):
            raise UnexpectedResultError(f"a file named {shown}, where letters, digits and . _ @ + - belong")
        if names.count(file.name.lower()) > 1:
            raise UnexpectedResultError(f"two files named {shown}")
        if not _MEDIA_TYPE.fullmatch(file.media_type) or _ACTIVE.fullmatch(file.media_type):
            kind = file.media_type[:60]
            raise UnexpectedResultError(f"the file {shown} of the media type {kind!r}, which is not handed out")
        if PRIVATE_KEY.encode() in file.content or any(secret in file.content for secret in hidden):
            raise UnexpectedResultError(f"the file {shown} with a secret of the profile or a private key")
    return files

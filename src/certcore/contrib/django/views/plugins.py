"""The page of the plugins: those that are loaded, and those that failed to load."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from certcore import Permission
from certcore.contrib.django.access import get_core, ssl_for
from certcore.contrib.django.pages import render_page
from certcore.contrib.django.shown_forms import Texts
from certcore.plugin import PluginInfo

__all__ = ["plugins"]


@require_safe
def plugins(request: HttpRequest) -> HttpResponse:
    """List every plugin of this process with its contents or its failure, and the export formats.

    Only users who may edit CA profiles see why a plugin failed, as the cause may name files of the server.
    """
    ssl = ssl_for(request)
    core, texts = ssl.core, ssl.translator
    core.authorities.list()  # raises an error unless the user may see CA profiles
    process = get_core()
    sees_causes = core.allows(Permission.AUTHORITY_EDIT)
    context = {
        "section": "plugins",
        "rows": [_row(info, texts, sees_causes=sees_causes) for info in process.plugins],
        "has_modules": bool(core.authorities.modules()),
        "formats": [(each.name, texts(each.title)) for each in core.certificates.formats()],
    }
    return render_page(request, "certcore/plugins.html", context)


def _row(info: PluginInfo, texts: Texts, *, sees_causes: bool) -> dict[str, Any]:
    """Return a plugin as the template needs it."""
    failure = info.failure if sees_causes else None
    return {
        "info": info,
        "reason": "" if failure is None else texts(failure.reason_text),
        "advice": texts(failure.advice_text) if failure is not None and failure.advice else "",
        "trace": "" if failure is None else failure.trace,
    }

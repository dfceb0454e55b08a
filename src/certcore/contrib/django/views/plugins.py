"""The page of the plugins: loaded ones, and unusable ones with the cause."""

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
    """Every plugin with what it brings, and what failed with the cause; the export formats of this process.

    Why a plugin failed, which names files of the server, is for those who may change CA profiles.
    """
    ssl = ssl_for(request)
    core, texts = ssl.core, ssl.translator
    core.authorities.list()  # asks the policy: users who may see CA profiles may see their modules
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
    """A plugin as the template draws it."""
    failure = info.failure if sees_causes else None
    return {
        "info": info,
        "reason": "" if failure is None else texts(failure.reason_text),
        "advice": texts(failure.advice_text) if failure is not None and failure.advice else "",
        "trace": "" if failure is None else failure.trace,
    }

"""The page of the plugins: what is loaded, and what could not be, with the cause."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from certcore import Permission
from certcore.contrib.django.access import get_core, ssl_for
from certcore.contrib.django.pages import render_page

__all__ = ["plugins"]


@require_safe
def plugins(request: HttpRequest) -> HttpResponse:
    """The CA modules, export formats and observers of this process, and the plugins that failed.

    Where in its code a plugin failed is for those who may change CA profiles.
    """
    ssl = ssl_for(request)
    core, texts = ssl.core, ssl.translator
    core.authorities.list()  # asks the policy: whoever may see the CA profiles may see what they are made with
    process = get_core()
    shows_trace = core.allows(Permission.AUTHORITY_EDIT)
    context = {
        "section": "plugins",
        "modules": sorted(core.authorities.modules().values(), key=lambda module: module.name),
        "formats": [(each.name, texts(each.title)) for each in core.certificates.formats()],
        "observers": sorted(process.observers),
        "failures": [
            {
                "plugin": failure.plugin,
                "reason": texts(failure.reason_text),
                "advice": texts(failure.advice_text) if failure.advice else "",
                "trace": failure.trace if shows_trace else "",
            }
            for failure in process.plugin_failures
        ],
    }
    return render_page(request, "certcore/plugins.html", context)

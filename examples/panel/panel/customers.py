"""The customers' domains: a DNS zone that runs in this process, and the page on which a customer sets a record."""

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.views.decorators.http import require_http_methods

from certcore import CertCoreError
from certcore.testing import MemoryZone

__all__ = ["ZONE", "dns"]

#: The customers' zone. Names below it can be set on the page `dns`.
ZONE = MemoryZone("customers.test", negative_ttl=0)


@login_required
@require_http_methods(["GET", "POST"])
def dns(request: HttpRequest) -> HttpResponse:
    """Play the customer: set or remove a CNAME at the customer's DNS host."""
    problem = ""
    name, value = (request.POST.get(key, "").strip().rstrip(".") for key in ("name", "value"))
    if request.method == "POST":
        try:
            if value:
                ZONE.set(name, "CNAME", value)
            else:
                ZONE.remove(name, "CNAME")
        except (CertCoreError, ValueError) as error:
            problem = str(error)
        else:
            return HttpResponseRedirect("/dns/")
    context = {"apex": "customers.test", "problem": problem, "name": name, "value": value}
    return render(request, "panel/dns.html", context, status=422 if problem else 200)

"""The pages of CA profiles: the list, the form of a new profile, and the page of one profile."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeVar

from attrs import frozen
from django.contrib import messages
from django.core import signing
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_safe

from certcore import CertCoreError, CertificateAuthority, InvalidInputError, Permission, StaleWriteError
from certcore.contrib.django.access import ssl_for
from certcore.contrib.django.pages import render_page
from certcore.contrib.django.shown_forms import ShownGroup, shown_errors, shown_fields
from certcore.errors import AlreadyExistsError, InUseError
from certcore.hints import ActionButton, InputForm

__all__ = [
    "authority",
    "authority_create",
    "authority_delete",
    "authority_list",
    "is_test_wanted",
]

T = TypeVar("T")
#: Posted values that are not fields of the form.
_NOT_FIELDS: Final = ("csrfmiddlewaretoken", "then")
#: The current link of the navigation.
_SECTION: Final = "authorities"
#: Salt of the signed token in the URL that starts a test after a save. Without the token, any link could start a test.
_SALT: Final = "certcore.authority.test"
#: How many seconds the token is valid.
_TEST_WITHIN: Final = 120


@frozen(kw_only=True)
class ProfileRow:
    """A row in the list of CA profiles."""

    profile: CertificateAuthority
    #: The title of the CA module; its name if the module is not loaded.
    module_title: str
    #: Whether the CA module is loaded.
    is_loaded: bool


@require_safe
def authority_list(request: HttpRequest) -> HttpResponse:
    """List the CA profiles that the user may see."""
    core = ssl_for(request).core
    modules = core.authorities.modules()
    rows = [
        ProfileRow(
            profile=profile,
            module_title=modules[profile.module].title if profile.module in modules else profile.module,
            is_loaded=profile.module in modules,
        )
        for profile in core.authorities.list()
    ]
    context = {"section": _SECTION, "rows": rows, "may_create": core.allows(Permission.AUTHORITY_CREATE)}
    return render_page(request, "certcore/authority_list.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
def authority_create(request: HttpRequest) -> HttpResponse:
    """Create a CA profile. Unless exactly one CA module is loaded, the user chooses the module first."""
    core = ssl_for(request).core
    modules = sorted(core.authorities.modules().values(), key=lambda module: module.title)
    name = request.GET.get("module", "")
    if not name and len(modules) != 1:
        core.authorities.form(module=modules[0].name if modules else "")  # raises if the policy refuses
        return render_page(request, "certcore/authority_modules.html", {"section": _SECTION, "modules": modules})
    form = core.authorities.form(module=name)
    if request.method == "POST":
        return _saved(request, form, "certcore/authority_create.html", dict)
    return render_page(request, "certcore/authority_create.html", _form_context(request, form))


@require_http_methods(["GET", "HEAD", "POST"])
def authority(request: HttpRequest, authority_id: str) -> HttpResponse:
    """Show or save a CA profile: form on the left; account, test, actions, limits and files on the right."""
    core = ssl_for(request).core
    if request.method == "POST":
        form = core.authorities.form(authority_id)
        return _saved(request, form, "certcore/authority.html", lambda: _page(request, authority_id))
    context = _page(request, authority_id)
    form_or_none = _or_none(lambda: core.authorities.form(authority_id))
    if form_or_none is not None:
        context |= _form_context(request, form_or_none)
    context["begins_test"] = context["may_check"] and is_test_wanted(request, context["profile"].id)
    return render_page(request, "certcore/authority.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
def authority_delete(request: HttpRequest, authority_id: str) -> HttpResponse:
    """Ask for confirmation, then delete a CA profile and its secrets; refused while certificates use the profile."""
    profiles = ssl_for(request).core.authorities
    profile = profiles.get(authority_id)
    context: dict[str, Any] = {"section": _SECTION, "profile": profile}
    if request.method != "POST":
        return render_page(request, "certcore/authority_delete.html", context)
    try:
        profiles.delete(profile.id)
    except InUseError as error:
        context["errors"] = (error,)
        return render_page(request, "certcore/authority_delete.html", context, status=error.http_status)
    messages.success(request, _("The CA profile %(name)s is deleted.") % {"name": profile.name}, fail_silently=True)
    return HttpResponseRedirect(reverse("certcore:authority_list"))


def is_test_wanted(request: HttpRequest, authority_id: str) -> bool:
    """Whether the user has just pressed "Save and Test": the URL then has a token that this panel has signed.

    Args:
        request: The request for the page of the CA profile.
        authority_id: The ID of the CA profile.
    """
    try:
        test_of = signing.loads(request.GET.get("test", ""), salt=_SALT, max_age=_TEST_WITHIN)
    except signing.BadSignature:
        return False
    return bool(test_of == [authority_id, request.user.get_username()])


def _saved(request: HttpRequest, form: InputForm, template: str, page: Callable[[], dict[str, Any]]) -> HttpResponse:
    """Save the posted form and redirect to the page of the profile; if values are refused, show them with errors."""
    core = ssl_for(request).core
    try:
        profile = core.authorities.save(form.bind(request.POST, ignore=_NOT_FIELDS))
    except (InvalidInputError, AlreadyExistsError, StaleWriteError) as error:
        context = page() | _form_context(request, form.refilled(request.POST), error)
        return render_page(request, template, context, status=error.http_status)
    messages.success(request, _("The CA profile is saved."), fail_silently=True)
    address = reverse("certcore:authority", args=[profile.id])
    if request.POST.get("then") == "test":
        address += f"?test={signing.dumps([profile.id, request.user.get_username()], salt=_SALT)}"
    return HttpResponseRedirect(address)


def _form_context(request: HttpRequest, form: InputForm, error: CertCoreError | None = None) -> dict[str, Any]:
    """Return the context of a form with its errors."""
    texts = ssl_for(request).translator
    errors = () if error is None else (error,)
    refused = shown_errors(errors, form.fields, texts)
    titles = {"profile": _("Profile"), "settings": _("Settings of the module")}
    groups = []
    for name, members in form.groups().items():
        fields = shown_fields((each for each in members if each.edit_method is not None), texts, errors=refused)
        if fields:
            plain = tuple(each for each in fields if not each.is_advanced)
            advanced = tuple(each for each in fields if each.is_advanced)
            groups.append(ShownGroup(title=titles.get(name, name), fields=plain, advanced=advanced))
    locked = [] if groups else [each for each in form.fields if each.value or each.is_set]
    return {
        "section": _SECTION,
        "groups": groups,
        "fields": form.fields,
        "errors": errors,
        "version": form.version,
        #: The values if no field can be changed; secrets have no value here.
        "facts": [(texts(each.label), "" if each.is_set else each.value) for each in locked],
    }


def _page(request: HttpRequest, authority_id: str) -> dict[str, Any]:
    """Return the context of a CA profile's page. Parts are empty if the CA module fails; a hint then tells why."""
    ssl = ssl_for(request)
    core, texts = ssl.core, ssl.translator
    profiles = core.authorities
    profile = profiles.get(authority_id)
    hints = [hint for hint in profiles.hints(profile.id) if not isinstance(hint, ActionButton)]
    counts = _or_none(lambda: core.certificates.counts(authority=profile.id))
    may_act = core.allows(Permission.AUTHORITY_ACT, subject=profile.id)
    modules = profiles.modules()
    return {
        "section": _SECTION,
        "profile": profile,
        "module_title": modules[profile.module].title if profile.module in modules else profile.module,
        "hints": hints,
        "actions": [
            {"name": action.name, "label": texts(action.label), "help": texts(action.help)}
            for action in (_or_none(lambda: profiles.actions(profile.id)) or () if may_act else ())
        ],
        "budgets": [
            {"label": texts(use.label), "used": use.used, "most": use.most, "is_used_up": use.used >= use.most}
            for use in _or_none(lambda: profiles.budgets(profile.id)) or ()
        ],
        "files": [
            {"name": file.name, "label": texts(file.label)}
            for file in _or_none(lambda: profiles.files(profile.id)) or ()
        ],
        "certificates": None if counts is None else counts.total,
        "may_check": core.allows(Permission.AUTHORITY_CHECK, subject=profile.id),
        "may_delete": core.allows(Permission.AUTHORITY_DELETE, subject=profile.id),
        "may_switch": counts is not None and core.allows(Permission.AUTHORITY_EDIT, subject=profile.id),
    }


def _or_none(call: Callable[[], T]) -> T | None:
    try:
        return call()
    except CertCoreError:
        return None

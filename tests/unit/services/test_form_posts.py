"""Posted forms: what frameworks post, what no browser posts, older pages, and parts of a form."""

import pytest

from certcore.errors import InvalidInputError, StaleWriteError, UnknownModuleError
from support.posted_forms import CSR, whole_post


class QueryDict(dict):
    """As Django, Flask and Starlette hold what was posted."""

    def getlist(self, name):
        return super().__getitem__(name)

    def __getitem__(self, name):
        return super().__getitem__(name)[-1]


def test_what_frameworks_post(bench):
    """Values are read with `getlist`, tokens against cross-site requests are passed over, and the last box counts."""
    form = bench.core.certificates.form(authority=bench.authority.id)
    posted = QueryDict(
        domain=["shop.example"],
        aliases=["a.example", "b.example"],
        wildcard=["no", "on"],
        auto=["no"],
        csrfmiddlewaretoken=["x"],
        csrf_token=["x"],
    )
    saved = bench.core.certificates.save(form.bind(posted))
    assert [name.ascii for name in saved.names] == ["shop.example", "*.shop.example", "a.example", "b.example"]
    assert not saved.renewal.auto
    bound = form.bind(
        {"domain": "x.example", "wildcard": True, "days_before": 7, "aliases": None, "my_token": "x"},
        ignore=["my_token"],
    )
    assert bound.arguments["wildcard"] is True
    assert bound.arguments["renewal"]["days_before"] == 7


@pytest.mark.parametrize(
    "posted",
    [
        None,
        "domain=x",
        5,
        [],
        {"domain": object()},
        {"domain": b"x"},
        {"domain": "\ud800"},
        {5: "x"},
        {"domain": "x" * 600_000},
        {str(number): "" for number in range(501)},
        {"domain": ["x"] * 1001},
        {"days_before": 10**5000},
        {"domain": [["x"]]},
        {"domain": {"x": 1}},
        {"x" * 300: "1"},
    ],
)
def test_what_no_browser_posts(bench, posted):
    """Whatever comes in, it is refused as input: nothing else gets out, and no time is spent on megabytes."""
    form = bench.core.certificates.form(authority=bench.authority.id)
    with pytest.raises(InvalidInputError):
        form.bind(posted)


def test_a_csr_determines_the_names(bench):
    """With an own CSR, the domain may be empty, and the page may post the default key type."""
    form = bench.core.certificates.form(authority=bench.authority.id)
    bound = form.bind(
        {"domain": "", "csr": CSR.replace("\n", "\r\n"), "key_type": "ec-p256", "auto": "on", "rotate_key": "on"}
    )
    saved = bench.core.certificates.save(bound)
    assert [name.ascii for name in saved.names] == ["csr.example", "www.csr.example"]
    form = bench.core.certificates.form(saved.id)
    assert form.bind(whole_post(form)).changed == ()
    bound = form.bind({**whole_post(form), "csr": "", "domain": "shop.example", "aliases": ""})
    assert not bench.core.certificates.save(bound).csr_pem


def test_an_older_page_does_not_overwrite_a_newer_save(bench):
    """A page that posts the version that it has shown is refused when somebody saved meanwhile."""
    draft = bench.draft()
    form = bench.core.certificates.form(draft.id)
    bench.core.certificates.edit(draft.id, aliases="a.example")
    bound = form.bind({**whole_post(form), "days_before": "7", "version": str(form.version)})
    with pytest.raises(StaleWriteError):
        bench.core.certificates.save(bound)
    with pytest.raises(InvalidInputError) as refused:
        form.bind({**whole_post(form), "version": "x"})
    assert refused.value.field == "version"


def test_a_partial_form_changes_what_it_names(bench):
    """A PATCH leaves boxes alone that it does not name."""
    draft = bench.draft(wildcard=True)
    bound = bench.core.certificates.form(draft.id).bind({"days_before": "7"}, partial=True)
    saved = bench.core.certificates.save(bound)
    assert (saved.wildcard, saved.renewal.auto, saved.renewal.days_before) == (True, True, 7)


def test_what_was_posted_is_shown_again(bench):
    """Beside the errors a page shows what the user typed, right or wrong, and the boxes as they were left."""
    form = bench.core.certificates.form(authority=bench.authority.id)
    again = form.refilled({"domain": "a_b.example", "aliases": ["x", "y"], "wildcard": "on", "owner": "bert"})
    values = {name: again[name].value for name in ("domain", "aliases", "wildcard", "auto", "owner")}
    assert values == {"domain": "a_b.example", "aliases": "x\ny", "wildcard": "yes", "auto": "no", "owner": ""}


def test_nobody_posts_another_owner(bench):
    """The tenant of a new certificate is the caller's choice."""
    form = bench.core.certificates.form(owner="anna", authority=bench.authority.id)
    with pytest.raises(InvalidInputError) as refused:
        form.bind({"domain": "shop.example", "owner": "bert"})
    assert refused.value.field == "owner"
    assert bench.core.certificates.save(form.bind({"domain": "shop.example"})).owner == "anna"


def test_a_taken_name_of_a_profile_is_refused_by_the_form(bench):
    """Also the id of another one is no name."""
    form = bench.core.authorities.form(module="scripted")
    for name in ("test", bench.authority.id):
        with pytest.raises(InvalidInputError) as refused:
            form.bind({"name": name, "allow_wildcard": "on"})
        assert refused.value.field == "name"
    with pytest.raises(UnknownModuleError):
        bench.core.authorities.form(module="no_such")


def test_a_form_is_saved_where_it_belongs(bench):
    """A bound form of a CA profile is no certificate."""
    bound = bench.core.authorities.form(bench.authority.id).bind({}, partial=True)
    with pytest.raises(InvalidInputError):
        bench.core.certificates.save(bound)

"""The documentation as a site: it builds without a warning, and a reader needs no network for it."""

import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

import certcore.plugin

ROOT = Path(__file__).parents[2]
pytest.importorskip("furo")

#: Nearly all that Sphinx makes it needs to the end: looking for garbage takes a fifth of the build, and finds little.
_BUILD = "import gc, sys; gc.disable(); from sphinx.cmd.build import main; sys.exit(main(sys.argv[1:]))"


class _Loaded(HTMLParser):
    """What a browser loads by itself when it shows a page: scripts, styles, pictures; no links to follow."""

    def __init__(self):
        super().__init__()
        self.addresses = []
        self.anchors = set()

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        self.anchors.add(given.get("id"))
        if tag in {"script", "img", "iframe", "source"} and given.get("src"):
            self.addresses.append(given["src"])
        if tag == "link" and "stylesheet" in given.get("rel", ""):
            self.addresses.append(given["href"])


def _read(page):
    parser = _Loaded()
    parser.feed(page.read_text(encoding="utf-8"))
    return parser


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The pages, built with every warning as an error."""
    folder = tmp_path_factory.mktemp("site")
    build = [sys.executable, "-c", _BUILD, "-q", "-W", "--keep-going", "-b", "html"]
    run = subprocess.run(
        [*build, "-d", folder / "doctrees", ROOT / "docs", folder / "html"],
        capture_output=True,
        text=True,
        check=False,
        timeout=500,
    )
    assert (run.returncode, run.stdout, run.stderr) == (0, "", "")
    return folder / "html"


@pytest.mark.slow(reason="builds the documentation")
@pytest.mark.xdist_group("docs-site")
class TestSite:
    """What a reader of the site relies on."""

    def test_every_page_is_there(self, site):
        """Each page of docs, and a page for each public namespace."""
        sources = {path.relative_to(ROOT / "docs").with_suffix(".html") for path in (ROOT / "docs").rglob("*.md")}
        namespaces = ("certcore", "certcore.plugin", "certcore.hints", "certcore.contrib.webhook")
        sources |= {Path(f"reference/api/{name}.html") for name in namespaces}
        assert sorted(str(path) for path in sources if not (site / path).is_file()) == []

    def test_public_names_are_described(self, site):
        """Each class and function that authors of plugins import can be linked to."""
        anchors = set().union(*(_read(page).anchors for page in (site / "reference/api").glob("*.html")))
        names = {anchor.rpartition(".")[2] for anchor in anchors if anchor}
        assert set(certcore.plugin.__all__) - names == set()
        assert {"certcore.services.certificates.Certificates.generate_csr", "certcore.CertCore.open"} <= anchors

    def test_nothing_is_loaded_from_elsewhere(self, site):
        """A browser without a network shows every page completely, and finds words in them."""
        pages = list(site.rglob("*.html"))
        assert len(pages) > 60
        for page in pages:
            for address in _read(page).addresses:
                assert not re.match(r"(\w+:)?//", address), (page.name, address)
                assert (page.parent / address.partition("?")[0]).resolve().is_file(), (page.name, address)
        for style in site.rglob("*.css"):
            assert not re.search(r"(@import|url\()\s*[\"']?(https?:)?//", style.read_text(encoding="utf-8")), style.name
        assert "tech" in (site / "searchindex.js").read_text(encoding="utf-8")

    def test_links_to_headings_lead_there(self, site):
        """A link from one page to a heading of another one ends there."""
        anchors = {}
        for page in (*site.glob("how-to/*.html"), *site.glob("explanation/*.html")):
            for path, anchor in re.findall(r'href="([^":#]+\.html)#([^"]+)"', page.read_text(encoding="utf-8")):
                target = (page.parent / path).resolve()
                if target not in anchors:
                    anchors[target] = _read(target).anchors
                assert anchor in anchors[target], (page.name, path, anchor)
        assert len(anchors) > 5

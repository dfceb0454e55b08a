"""Sphinx: the pages of this folder and the reference of the public names, as HTML. ``make docs`` builds it."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

import api_pages  # noqa: E402 - it is beside this file

from certcore import __version__  # noqa: E402 - as above

api_pages.configure_django()

project = "certcore"
author = "the authors of certcore"
project_copyright = "the authors of certcore, Apache License 2.0"
version = release = __version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["_build"]
templates_path: list[str] = []
nitpicky = False  # a name in single backticks is a link where the name is public, and plain where it is not
default_role = "py:obj"
add_module_names = False
python_maximum_signature_line_length = 88
toc_object_entries = False  # each page begins with a table of its names; in the margin they would double the time

myst_heading_anchors = 4
myst_enable_extensions = ["colon_fence"]

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True

html_theme = "furo"
html_title = f"certcore {__version__}"
html_show_sphinx = False
html_copy_source = False
pygments_style = "friendly"
pygments_dark_style = "monokai"

_SECTION = re.compile(r"^## (.+)$", re.MULTILINE)
#: A link to a page that is no part of the site; the text of the link stays.
_OUTSIDE = re.compile(r"\[([^\]]+)\]\((?:\.\./)*(?:examples|src|tests|benchmarks)/[^)\s]*\.md(?:#[^)\s]*)?\)")
_LINK = re.compile(r"^- \[[^\]]+\]\(([^)]+)\.md\)", re.MULTILINE)


def _navigation(index: str) -> str:
    """The table of contents beside every page: the sections of ``index.md`` and the pages that each lists."""
    parts = _SECTION.split(index)
    trees = [
        "\n".join(["```{toctree}", ":hidden:", f":caption: {title}", "", *_LINK.findall(text), "```"])
        for title, text in zip(parts[1::2], parts[2::2], strict=True)
    ]
    return "\n\n".join([index, *trees])


def _read(_: Any, page: str, source: list[str]) -> None:
    """Add what only Sphinx needs, so that the pages read well as plain Markdown, too."""
    if page == "index":
        source[0] = _navigation(source[0])
    elif page == "reference/api":
        names = [f"api/{name}" for name in api_pages.namespaces()]
        source[0] = "\n".join([source[0], "", "```{toctree}", ":hidden:", "", *names, "```"])
    elif page == "changelog":
        changes = (HERE.parent / "CHANGELOG.md").read_text(encoding="utf-8")
        source[0] = changes.replace("](docs/", "](")
    source[0] = _OUTSIDE.sub(r"\1", source[0])


def setup(app: Any) -> dict[str, bool]:
    """Connect the functions above, and those that make the reference of the public names."""
    app.connect("builder-inited", lambda _: api_pages.write(HERE / "reference/api"))
    app.connect("source-read", _read)
    app.connect("doctree-read", api_pages.leave_builtins)
    app.connect("missing-reference", api_pages.resolve)
    app.connect("autodoc-process-signature", api_pages.write_signature)
    app.connect("autodoc-process-docstring", api_pages.hide_colons, priority=400)  # Napoleon has 500
    app.connect("autodoc-process-docstring", api_pages.show_colons, priority=600)
    return {"parallel_read_safe": True, "parallel_write_safe": True}

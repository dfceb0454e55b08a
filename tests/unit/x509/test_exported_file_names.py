"""The names and folders of exported files: safe, and never the same for two domains."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from certcore.errors import InvalidInputError
from certcore.model.export import ExportedFile, file_stem
from support.examples import examples
from support.exports import options_of


@pytest.mark.parametrize(
    ("name", "stem"),
    [
        ("shop.example", "shop.example"),
        ("*.Shop.example", "_wildcard.shop.example"),
        ("xn--bcher-kva.example", "xn--bcher-kva.example"),
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8::7", "2001-db8--7"),
        ("con.example", "_con.example"),
        ("COM1.example", "_com1.example"),
        ("console.example", "console.example"),
        ("localhost", "localhost"),
    ],
)
def test_files_are_named_after_the_domain(name, stem):
    """Recognisable, and safe in every file system."""
    assert file_stem(name) == stem


LABEL = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", fullmatch=True)


@given(name=st.text(min_size=1, max_size=300) | st.lists(LABEL, min_size=2, max_size=6).map(".".join))
@examples(300)
def test_no_name_makes_an_unsafe_file(name):
    """Whatever the name is: one part, not hidden, no option, short enough with its ending, and fit for an export."""
    stem = file_stem(name)
    assert re.fullmatch(r"[a-z0-9_][a-z0-9._-]*", stem)
    assert len(stem) <= 210
    assert stem not in {".", ".."}
    assert ExportedFile(name=f"{stem}.zip", content=b"").name == f"{stem}.zip"


@given(
    names=st.lists(
        st.text(min_size=1, max_size=300), min_size=2, max_size=2, unique_by=lambda name: name.strip().lower()
    )
)
@examples(300)
def test_two_odd_names_never_share_a_file(names):
    """Names that are replaced or cut off get a digest; names in A-labels need none."""
    odd = [name for name in names if re.search(r"[^a-z0-9.-]", name.strip().lower())]
    stems = {file_stem(name) for name in odd}
    assert len(stems) == len(odd)


def test_long_names_stay_apart():
    """Two names of 250 characters that differ at the end."""
    long = ".".join(["a" * 62] * 4)
    assert file_stem(f"{long}a") != file_stem(f"{long}b")


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", ".hidden", "a/b", "/etc/passwd", "a\\b", "a b", "a\nb", "a\0b", "-rf", "ä.pem", "x" * 231],
)
def test_names_of_exported_files_have_one_part(name):
    """A plugin cannot write elsewhere than into the folder."""
    with pytest.raises(InvalidInputError, match=r"^name: "):
        ExportedFile(name=name, content=b"")


@pytest.mark.parametrize("mode", [0o604, 0o644, 0o606, 0o601, 0o4600, -1])
def test_a_secret_file_is_never_open_to_everybody(mode):
    """Nor does a mode have other bits than those of permissions."""
    with pytest.raises(InvalidInputError, match=r"^mode: "):
        ExportedFile(name="a", content=b"", secret=True, mode=mode)
    assert ExportedFile(name="a", content=b"", secret=True, mode=0o640).mode == 0o640


@pytest.mark.parametrize(
    "folder",
    [
        "relative",
        "/a b",
        "/a;b",
        "/a\nssl_engine x",
        "/a$b",
        '/a"b',
        "/a'b",
        "/a{b",
        "/a}b",
        "/a\\b",
        "/a#b",
        "/a,b",
        "/a%b",
    ],
)
def test_folders_cannot_break_out_of_a_configuration(folder):
    """What would need quoting, and what would end a line, is refused with words."""
    with pytest.raises(InvalidInputError, match=r"^folder: "):
        options_of(folder=folder)

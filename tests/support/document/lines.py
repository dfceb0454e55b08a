"""The lines of the document that describes the section, and the registry of their checks."""

from pathlib import Path

__all__ = ["CHECKS", "LINES", "promised", "row_of"]

DOCUMENT = Path(__file__).parents[2] / "data/ssl_certificates_page.txt"
#: Those that begin with "# " are headings, and what the web page around the document says: they promise nothing.
LINES = [line for line in dict.fromkeys(DOCUMENT.read_text(encoding="utf-8").splitlines()) if line[:2] != "# "]
#: By line.
CHECKS = {}


def promised(*beginnings):
    """Registers the check of lines of the document, by their beginnings, in which quotes are straight."""

    def register(check):
        for beginning in beginnings:
            plain = {line: line.replace("\u2019", "'") for line in LINES}
            lines = [line for line in LINES if plain[line] == beginning] or [
                line for line in LINES if plain[line].startswith(beginning)
            ]
            assert len(lines) == 1, (beginning, lines)
            assert lines[0] not in CHECKS, lines
            CHECKS[lines[0]] = check
        return check

    return register


def row_of(page, domain):
    """The row of the list with this domain."""
    for row in page.soup.find_all("tr"):
        if domain in row.get_text(" ").split():
            return " ".join(row.get_text(" ").split())
    raise AssertionError(f"{domain} is not in the list: {page.text}")

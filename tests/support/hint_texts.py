"""What the hints on the page of a certificate say; a panel is whatever has a CertCore as `core`."""

from certcore.model.hints import Facts, Notice


def notices(panel, certificate_id, level=None):
    """The texts of its notices, or of those of one level."""
    hints = [hint for hint in panel.core.certificates.hints(certificate_id) if isinstance(hint, Notice)]
    return "\n".join(str(hint.text) for hint in hints if level in (None, hint.level))


def notices_and_facts(panel, certificate_id):
    """The texts of its notices, and the rows of its facts."""
    facts = [hint for hint in panel.core.certificates.hints(certificate_id) if isinstance(hint, Facts)]
    rows = [f"{row.label}: {row.value}" for hint in facts for row in hint.rows]
    return "\n".join([notices(panel, certificate_id), *rows])

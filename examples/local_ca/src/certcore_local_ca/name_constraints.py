"""Name constraints for DNS names (RFC 5280 section 4.2.1.10)."""

from __future__ import annotations

from collections.abc import Sequence

from attrs import frozen
from cryptography import x509

__all__ = ["NameConstraints"]


@frozen(kw_only=True)
class NameConstraints:
    """Which DNS names a CA may certify: names below ``permitted``, and not below ``excluded``. A-labels, lower case."""

    #: Empty: all names are permitted.
    permitted: tuple[str, ...] = ()
    excluded: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.permitted or self.excluded)

    def refused(self, names: Sequence[str]) -> tuple[str, ...]:
        """Those of the names that the constraints do not permit; a wildcard counts as the names below its domain."""
        return tuple(name for name in names if not self._permits(name))

    def _permits(self, name: str) -> bool:
        if self.permitted and not _is_below(name, self.permitted):
            return False
        base = name.removeprefix("*.")
        # A wildcard must not stand for a name that is excluded either.
        swallows = base != name and any(domain.endswith(f".{base}") for domain in self.excluded)
        return not swallows and not _is_below(name, self.excluded)

    def extension(self) -> x509.NameConstraints:
        """The extension of a CA certificate; it MUST be critical, and the constraints must not be empty."""
        return x509.NameConstraints(
            permitted_subtrees=[x509.DNSName(domain) for domain in self.permitted] or None,
            excluded_subtrees=[x509.DNSName(domain) for domain in self.excluded] or None,
        )

    @classmethod
    def of(cls, certificate: x509.Certificate) -> NameConstraints:
        """The constraints for DNS names that a CA certificate has; empty without the extension."""
        try:
            extension = certificate.extensions.get_extension_for_class(x509.NameConstraints).value
        except x509.ExtensionNotFound:
            return cls()
        return cls(permitted=_domains(extension.permitted_subtrees), excluded=_domains(extension.excluded_subtrees))


def _is_below(name: str, domains: Sequence[str]) -> bool:
    base = name.removeprefix("*.")
    return any(base == domain or base.endswith(f".{domain}") for domain in domains)


def _domains(subtrees: Sequence[x509.GeneralName] | None) -> tuple[str, ...]:
    values = (subtree.value for subtree in subtrees or () if isinstance(subtree, x509.DNSName))
    return tuple(value.lower().removeprefix(".") for value in values)

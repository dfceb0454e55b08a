"""What browsers post of a form."""

from certcore.hints import FieldKind
from certcore.model.keys import KeyType
from certcore.model.names import DnsName
from certcore.model.subject import Subject
from certcore.x509.csr import build_csr
from certcore.x509.keys import generate_key

CSR = build_csr(generate_key(KeyType.EC_P384), [DnsName("csr.example"), DnsName("www.csr.example")], Subject()).decode()


def whole_post(form):
    """What a browser posts of a page that nobody has changed."""
    return {
        field.name: "on" if field.kind is FieldKind.BOOLEAN else field.value.replace("\n", "\r\n")
        for field in form.fields
        if field.edit_method is not None and (field.kind is not FieldKind.BOOLEAN or field.checked)
    }

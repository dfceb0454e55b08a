"""Inputs that are accepted: where the parts stand, what happened to the text on the way, what is around it."""

import base64
import html
import json
import textwrap

from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PrivateFormat,
    pkcs7,
)

from support.bundle_corpus.world import (
    DOTLESS_PLUS,
    PASSWORD,
    armour,
    b64,
    der,
    good,
    indefinite,
    integer,
    key_der,
    key_pem,
    pem,
    taken,
    tlv,
)

# -- places ------------------------------------------------------------------------------------------------------------


@good()
def apart(w):
    return taken(leaf=w.shop.leaf_pem, private_key=w.shop.key_pem, ca_bundle=pem(w.middle))


@good()
def apart_as_files(w):
    return taken(leaf=w.shop.leaf_pem.encode(), private_key=w.shop.key_pem.encode(), ca_bundle=pem(w.middle).encode())


@good()
def with_the_root(w):
    return taken(leaf=w.shop.leaf_pem, private_key=w.shop.key_pem, ca_bundle=pem(w.root) + pem(w.middle))


@good()
def full_chain_and_key(w):
    return taken(leaf=w.shop.leaf_pem + w.shop.chain_pem, private_key=w.shop.key_pem)


@good()
def all_in_one_key_first(w):
    return taken(leaf="".join(w.everything))


@good()
def all_in_one_key_in_the_middle(w):
    key, leaf, middle, root = w.everything
    return taken(leaf=root + middle + key + leaf)


@good()
def all_in_one_key_last(w):
    return taken(leaf="".join(reversed(w.everything)))


@good()
def all_in_the_key_field(w):
    return taken(private_key="".join(w.everything))


@good()
def all_in_the_chain_field(w):
    return taken(leaf=" \r\n", ca_bundle="".join(w.everything))


@good()
def leaf_and_key_swapped(w):
    return taken(leaf=w.shop.key_pem, private_key=w.shop.leaf_pem, ca_bundle=pem(w.middle))


@good()
def everything_twice(w):
    return taken(leaf="".join(w.everything * 2), private_key=w.shop.key_pem, ca_bundle="".join(w.everything))


@good()
def the_key_in_two_forms(w):
    return taken(leaf="".join(w.everything), private_key=key_pem(w.shop_key, PrivateFormat.TraditionalOpenSSL))


@good(key=False)
def without_a_key(w):
    return taken(leaf=w.shop.leaf_pem, ca_bundle=w.shop.chain_pem)


@good(chain=False)
def without_a_chain(w):
    return taken(leaf=w.shop.leaf_pem, private_key=w.shop.key_pem)


@good(key=False, chain=False)
def the_leaf_alone(w):
    return taken(leaf=w.shop.leaf_pem)


# -- what happened on the way ------------------------------------------------------------------------------------------


@good()
def windows_line_ends(w):
    return taken(leaf="".join(w.everything).replace("\n", "\r\n"))


@good()
def old_mac_line_ends(w):
    return taken(leaf="".join(w.everything).replace("\n", "\r"))


@good()
def no_line_ends(w):
    return taken(leaf="".join(w.everything).replace("\n", ""))


@good()
def spaces_for_line_ends(w):
    return taken(leaf="".join(w.everything).replace("\n", " "))


@good()
def no_final_line_end(w):
    return taken(leaf=w.shop.leaf_pem.strip(), private_key=w.shop.key_pem.strip(), ca_bundle=pem(w.middle).strip())


@good()
def no_line_end_between_blocks(w):
    return taken(leaf="".join(block.strip() for block in w.everything))


@good()
def indented(w):
    return taken(leaf=textwrap.indent("".join(w.everything), "    \t"))


@good()
def spaces_behind_each_line(w):
    return taken(leaf="".join(w.everything).replace("\n", "  \t\n"))


@good()
def blank_lines_everywhere(w):
    return taken(leaf="\n\n" + "".join(w.everything).replace("\n", "\n\n"))


@good()
def long_lines(w):
    return taken(
        leaf=f"-----BEGIN CERTIFICATE-----\n{b64(der(w.shop.leaf))}\n-----END CERTIFICATE-----",
        private_key=w.shop.key_pem,
        ca_bundle=pem(w.middle),
    )


@good()
def byte_order_mark(w):
    return taken(leaf="\ufeff" + "".join(w.everything))


@good()
def byte_order_mark_of_a_file(w):
    return taken(leaf="".join(w.everything).encode("utf-8-sig"))


@good()
def utf16_of_a_windows_editor(w):
    return taken(leaf="".join(w.everything).replace("\n", "\r\n").encode("utf-16"))


@good()
def utf16_without_a_mark(w):
    return taken(leaf="".join(w.everything).encode("utf-16-le"), private_key=w.shop.key_pem.encode("utf-16-be"))


@good()
def utf16_read_as_latin1(w):
    return taken(leaf="".join(w.everything).encode("utf-16").decode("latin-1"))


@good()
def latin1_around_it(w):
    return taken(leaf="Schlüssel für Müller\n".encode("latin-1") + "".join(w.everything).encode())


@good()
def escaped_line_ends(w):
    return taken(leaf="".join(w.everything).replace("\n", "\\n"))


@good()
def escaped_windows_line_ends(w):
    return taken(leaf="".join(w.everything).replace("\n", "\\r\\n"))


@good()
def a_json_document(w):
    return taken(leaf=json.dumps({"cert": w.shop.leaf_pem + w.shop.chain_pem, "key": w.shop.key_pem}, indent=1))


@good()
def json_within_json(w):
    return taken(leaf=json.dumps(json.dumps({"pem": "".join(w.everything)})))


@good()
def json_of_php(w):
    return taken(leaf="".join(w.everything).translate(DOTLESS_PLUS).replace("\n", "\\n"))


@good()
def json_lines(w):
    return taken(leaf=json.dumps("".join(w.everything).splitlines()))


@good()
def html_source(w):
    return taken(leaf="<pre class='c'>" + "".join(w.everything).replace("\n", "<br />\n") + "</pre>")


@good()
def html_entities(w):
    escaped = html.escape("".join(w.everything)).replace("\n", "&#10;").replace("+", "&#x2B;").replace("=", "&equals;")
    return taken(leaf=escaped)


@good()
def quoted_mail(w):
    return taken(leaf="Hi, here it is:\n" + textwrap.indent("".join(w.everything), "> "))


@good()
def python_source(w):
    return taken(leaf="\n".join(f'    "{line}\\n"' for line in "".join(w.everything).splitlines()))


@good()
def dashes_of_a_word_processor(w):
    return taken(leaf="".join(w.everything).replace("-----", "\u2014\u2013-"))


@good()
def last_dashes_not_copied(w):
    return taken(
        leaf=w.shop.leaf_pem.rstrip("-\n"), private_key=w.shop.key_pem.rstrip("-\n") + "--", ca_bundle=pem(w.middle)
    )


@good()
def zero_width_and_no_break_spaces(w):
    return taken(leaf="".join(w.everything).replace("\n", "\u200b\n\u00a0"))


# -- text around -------------------------------------------------------------------------------------------------------


@good()
def text_of_openssl(w):
    shown = w.openssl("x509", "-text", given=w.shop.leaf_pem)
    key = w.openssl("pkey", "-text", given=w.shop.key_pem)
    return taken(leaf=shown, private_key=key, ca_bundle=w.openssl("x509", "-text", given=pem(w.middle)))


@good()
def bag_attributes(w):
    return taken(leaf=w.openssl("pkcs12", "-nodes", "-passin", f"pass:{PASSWORD}", given=w.pkcs12("-name", "Shop")))


@good()
def comments_around_it(w):
    key, leaf, middle, root = w.everything
    return taken(leaf=f"# --- server -->\n{leaf}# 1 < 2 & 3\n---\nCA\n{middle}{root}; key:{key} end")


@good()
def output_of_s_client(w):
    text = (
        f"CONNECTED(00000003)\n---\nCertificate chain\n 0 s:CN = shop.example\n   i:CN = Corpus CA 1\n{w.shop.leaf_pem}"
    )
    return taken(
        leaf=f"{text} 1 s:CN\n{pem(w.middle)}---\nServer certificate\n{w.shop.leaf_pem}subject=\n",
        private_key=w.shop.key_pem,
    )


@good()
def a_yaml_document(w):
    return taken(leaf="tls:\n  crt: |\n" + textwrap.indent("".join(w.everything), "    "))


@good()
def a_kubernetes_secret(w):
    return taken(leaf=b64((w.shop.leaf_pem + w.shop.chain_pem).encode()), private_key=b64(w.shop.key_pem.encode()))


@good()
def metadata_of_saml(w):
    return taken(
        leaf=f"<ds:X509Certificate>\n{b64(der(w.shop.leaf))}\n</ds:X509Certificate>",
        private_key=w.shop.key_pem,
        ca_bundle=pem(w.middle),
    )


@good()
def a_request_beside_it(w):
    return taken(leaf="".join(w.everything), private_key=w.request.public_bytes(Encoding.PEM).decode() + w.shop.key_pem)


@good()
def parameters_beside_it(w):
    parameters = armour("DH PARAMETERS", tlv(0x30, integer(23), integer(5)))
    return taken(leaf=parameters + "".join(w.everything) + armour("EC PARAMETERS", tlv(6, b"\x2a")))


# -- certificates ------------------------------------------------------------------------------------------------------


@good()
def der_files(w):
    return taken(leaf=der(w.shop.leaf), private_key=key_der(w.shop_key), ca_bundle=der(w.middle))


@good()
def der_files_in_a_row(w):
    return taken(leaf=der(w.shop.leaf) + b"\r\n" + der(w.middle) + der(w.root) + b"\n", private_key=key_der(w.shop_key))


@good()
def bare_base64(w):
    return taken(leaf=b64(der(w.shop.leaf)), private_key=b64(key_der(w.shop_key)), ca_bundle=b64(der(w.middle)))


@good()
def bare_base64_in_lines(w):
    return taken(
        leaf=base64.encodebytes(der(w.shop.leaf)),
        private_key=base64.encodebytes(key_der(w.shop_key)),
        ca_bundle=base64.encodebytes(der(w.middle)),
    )


@good()
def bare_base64_without_padding(w):
    return taken(
        leaf=b64(der(w.shop.leaf)).rstrip("="), private_key=w.shop.key_pem, ca_bundle=b64(der(w.middle)).rstrip("=")
    )


@good()
def bare_base64_in_a_row(w):
    return taken(leaf="\n".join(map(b64, (der(w.shop.leaf), der(w.middle), der(w.root), key_der(w.shop_key)))))


@good()
def trusted_certificate(w):
    trusted = w.openssl("x509", "-trustout", "-addtrust", "serverAuth", "-setalias", "shop", given=w.shop.leaf_pem)
    assert b"TRUSTED" in trusted
    return taken(leaf=trusted, private_key=w.shop.key_pem, ca_bundle=pem(w.middle))


@good()
def x509_certificate(w):
    return taken(
        leaf=w.shop.leaf_pem.replace(" CERT", " X509 CERT"), private_key=w.shop.key_pem, ca_bundle=pem(w.middle)
    )


@good()
def pkcs7_pem(w):
    made = w.openssl("crl2pkcs7", "-nocrl", "-certfile", "{all}", all=w.shop.leaf_pem + pem(w.middle) + pem(w.root))
    return taken(leaf=made, private_key=w.shop.key_pem)


@good()
def pkcs7_der(w):
    made = pkcs7.serialize_certificates([w.root, w.shop.leaf, w.middle], Encoding.DER)
    return taken(leaf=made, private_key=w.shop.key_pem)


@good()
def pkcs7_of_indefinite_length(w):
    made = pkcs7.serialize_certificates([w.root, w.shop.leaf, w.middle], Encoding.DER)
    return taken(leaf=indefinite(made), private_key=w.shop.key_pem)


@good()
def pkcs7_beside_the_leaf(w):
    return taken(
        leaf=w.shop.leaf_pem,
        private_key=w.shop.key_pem,
        ca_bundle=pkcs7.serialize_certificates([w.middle, w.root], Encoding.DER),
    )


@good()
def pkcs7_with_certificate_lines(w):
    made = pkcs7.serialize_certificates([w.shop.leaf, w.middle], Encoding.DER)
    return taken(leaf=armour("CERTIFICATE", made), private_key=w.shop.key_pem)

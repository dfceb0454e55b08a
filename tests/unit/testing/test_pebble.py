"""The arguments of the DNS server that comes with Pebble, whose names differ between its versions."""

import sys

import pytest

from certcore.testing.pebble import ChallTestSrv, challtestsrv_arguments

OLD = """Usage of pebble-challtestsrv:
  -dns01 string
    \tComma separated bind addresses/ports for DNS-01 challenges. (default ":8053")
  -http01 string
  -https01 string
  -management string
  -tlsalpn01 string
"""
NEW = OLD.replace("-dns01", "-dnsserver") + '  -doh string\n    \tfor DNS over HTTPS queries (default ":8443")\n'


@pytest.mark.parametrize(("help_text", "dns", "others"), [(OLD, "-dns01", set()), (NEW, "-dnsserver", {"-doh="})])
def test_the_server_is_started_whatever_its_version_calls_the_options(help_text, dns, others):
    """Version 2.5 renamed the option for DNS; what is not needed is switched off where it is there."""
    arguments = challtestsrv_arguments(help_text, dns_port=5301, management_port=5302)
    assert arguments[:2] == [f"{dns}=127.0.0.1:5301", "-management=127.0.0.1:5302"]
    assert set(arguments[2:]) == {"-http01=", "-https01=", "-tlsalpn01="} | others


STAND_IN = """#!{python}
import json, socket, sys, threading
from http.server import BaseHTTPRequestHandler, HTTPServer

known = {known!r}
if sys.argv[1:] == ["-help"]:
    print("Usage:\\n" + "\\n".join(f"  -{{name}} string" for name in known), file=sys.stderr)
    sys.exit(2)
options = dict(argument.lstrip("-").split("=", 1) for argument in sys.argv[1:])
unknown = sorted(set(options) - set(known))
if unknown:
    print("flag provided but not defined: " + unknown[0], file=sys.stderr)
    sys.exit(2)

class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.end_headers()

host, port = options[{dns!r}].split(":")
dns = socket.create_server((host, int(port)))
host, port = options["management"].split(":")
HTTPServer((host, int(port)), Handler).serve_forever()
"""


@pytest.mark.parametrize(
    ("dns", "others"), [("dns01", ()), ("dnsserver", ()), ("dnsserver", ("doh", "doh-cert"))], ids=["old", "new", "doh"]
)
def test_a_server_of_either_version_is_started(tmp_path, monkeypatch, dns, others):
    """A program that refuses the options of other versions, as Go's do, is started by what its -help names."""
    program = tmp_path / "pebble-challtestsrv"
    known = (dns, "http01", "https01", "tlsalpn01", "management", *others)
    program.write_text(STAND_IN.format(python=sys.executable, known=known, dns=dns))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    with ChallTestSrv.start() as server:
        server.set_txt("_acme-challenge.shop.test", "value")

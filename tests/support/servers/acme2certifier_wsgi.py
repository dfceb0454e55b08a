"""Serves acme2certifier over HTTPS: what :class:`support.servers.acme2certifier.Acme2certifier` runs as its child.

It is run by its path, by any interpreter that has acme2certifier, and imports nothing of certcore. Its working folder
has ``acme_srv.cfg``, and ``cert.pem`` and ``key.pem`` for HTTPS; the arguments are the port and the DNS server.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import socket
import socketserver
import sqlite3
import ssl
import sys
from pathlib import Path
from typing import Any, Final
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

import dns.resolver

_TIMEOUT: Final = 30.0


class _Request(WSGIRequestHandler):
    """One request per connection; one that does not go on is dropped."""

    timeout = _TIMEOUT


class _Server(socketserver.ThreadingMixIn, WSGIServer):
    """A thread per connection, which does the TLS handshake as well: a slow client holds up nobody else."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, port: int, application: Any, tls: ssl.SSLContext) -> None:
        self._tls = tls
        super().__init__(("127.0.0.1", port), _Request)
        self.set_app(application)

    def server_bind(self) -> None:
        """Listen, without asking the system's resolver for our own name as the base class does."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = "localhost", self.server_address[1]
        self.setup_environ()
        self.base_environ["HTTPS"] = "on"  # the application makes its https URLs from it

    def finish_request(self, request: Any, client_address: Any) -> None:
        """Serve the request on a connection that was accepted."""
        request.settimeout(_TIMEOUT)
        request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with self._tls.wrap_socket(request, server_side=True) as secured:
            super().finish_request(secured, client_address)


def main(port: int, dns_server: str) -> None:
    """Serve until the process is ended.

    Args:
        port: The port of 127.0.0.1.
        dns_server: ``address:port`` of the resolver that challenges are validated with; the system's when empty.
    """
    if dns_server:
        # Its own setting takes no port. When that is not set, it asks dnspython's default resolver.
        address, _, dns_port = dns_server.rpartition(":")
        resolver = dns.resolver.Resolver(configure=False)
        resolver.nameservers, resolver.port = [address.strip("[]")], int(dns_port)
        dns.resolver.default_resolver = resolver
    os.environ["ACME_SRV_CONFIGFILE"] = str(Path("acme_srv.cfg").resolve())
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain("cert.pem", "key.pem")
    served = importlib.import_module("acme2certifier.share.acme2certifier_wsgi")  # which makes the database
    with contextlib.closing(sqlite3.connect("acme.db")) as database:
        # Otherwise readers and writers exclude each other, and eight clients at once wait for seconds.
        database.execute("PRAGMA journal_mode = WAL")
    with _Server(port, served.application, tls) as server:
        server.serve_forever()


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])

"""The servers of the example panel in one process: DNS server, ACME CA, worker and web server."""

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from django.apps import apps
from django.conf import settings
from django.contrib.staticfiles.handlers import StaticFilesHandler
from django.core.management import call_command
from django.core.servers.basehttp import ThreadedWSGIServer, WSGIRequestHandler, get_internal_wsgi_application

from certcore import CertCore
from certcore.contrib.django import get_core
from certcore.testing import Pebble
from panel.customers import ZONE
from panel.seed import Seeded, make_certificates, make_profiles, make_users

__all__ = ["start_everything"]

LOOPBACK = "127.0.0.1"


def start_everything(started: ExitStack, port: int) -> str:
    """Start the servers, create the data that the panel shows, and start the web server.

    Args:
        started: Collects what has to be stopped at the end.
        port: Of the web server; 0 takes a free one.

    Returns:
        The address of the web server.
    """
    CertCore.create_keyring(settings.CERTCORE["KEYRING"])
    call_command("migrate", verbosity=0)
    core = get_core()
    started.callback(apps.get_app_config("certcore_ssl").close)
    dns = core.dns_server(listen=(LOOPBACK, 0), module="puq_acme", also=[ZONE])
    started.callback(dns.close)
    dns_address = f"{LOOPBACK}:{dns.address[1]}"
    pebble = started.enter_context(Pebble.start(dns_server=dns_address))
    print(f"DNS server {dns_address}, ACME CA {pebble.directory_url}", flush=True)

    people = make_users()
    acme, fallback, desk = make_profiles(core, pebble, dns_address)
    worker = core.worker(threads=2, in_flight=4, poll_interval=0.5)
    worker.start()
    started.callback(worker.stop, 10)
    print("Issuing certificates …", flush=True)
    anna, bert = str(people["anna"].pk), str(people["bert"].pk)
    make_certificates(Seeded(core=core, acme=acme, fallback=fallback, desk=desk, anna=anna, bert=bert))
    return started.enter_context(_web_server(port))


@contextmanager
def _web_server(port: int) -> Iterator[str]:
    """Start Django's own web server, with the static files; return its address."""
    server = ThreadedWSGIServer((LOOPBACK, port), WSGIRequestHandler)
    server.set_app(StaticFilesHandler(get_internal_wsgi_application()))
    thread = threading.Thread(target=server.serve_forever, name="web", daemon=True)
    thread.start()
    try:
        yield f"http://{LOOPBACK}:{server.server_port}/"
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)

"""``certcore dns``: the embedded DNS server in a process of its own."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Annotated, Final

import typer

from certcore.cli.given import expanded
from certcore.cli.interrupts import sigterm_interrupts
from certcore.cli.options import Database, Json, Keyring
from certcore.cli.output import plain
from certcore.cli.store import session
from certcore.core import CertCore
from certcore.errors import InvalidInput
from certcore.ports.dns import DnsServer, ServesZones, ZoneSource

__all__ = ["dns", "parse_address", "start_server"]

_MAX_PORT: Final = 65535
#: Seconds between two looks for a signal, on systems whose waits are deaf to them.
_LOOK: Final = 1.0

dns = typer.Typer(no_args_is_help=True, help="The DNS server for the tech zones.")


@dns.callback()
def _group() -> None:
    """The DNS server for the tech zones."""


@dns.command("serve")
def serve(
    listen: Annotated[
        str, typer.Option("--listen", metavar="HOST:PORT", help="Address and port; port 0 takes a free one.")
    ] = "127.0.0.1:5353",
    module: Annotated[
        str, typer.Option("--module", metavar="MODULE", help="The CA module; by default the one that has a server.")
    ] = "",
    zones: Annotated[
        list[str] | None,
        typer.Option(
            "--zone",
            metavar="NAME=FILE",
            help="Serve this zone, too, from a file in master format (RFC 1035); may be repeated. "
            "The file is read again when it changes.",
        ),
    ] = None,
    database: Database = "",
    keyring: Keyring = "",
    as_json: Json = False,
) -> None:
    """Serve the tech zones of all CA profiles, until Ctrl-C or SIGTERM. New profiles are served without a restart."""
    address = parse_address(listen, "--listen")
    files = [_pair(one) for one in zones or ()]
    with session(database, keyring, as_json=as_json) as now, sigterm_interrupts():
        server = start_server(now.core, address, module, _zone_files(files))
        try:
            host, port = server.address
            shown = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
            document = {"listening": {"host": host, "port": port, "address": shown}}
            now.output.result(document, lambda to: to.print(f"Listening on {plain(shown)} (UDP and TCP)."))
            stop = threading.Event()
            while not stop.wait(_LOOK):
                pass
        except KeyboardInterrupt:
            now.output.note("Stopping.", "dim")
        finally:
            server.close()


def start_server(core: CertCore, listen: tuple[str, int], module: str, also: Sequence[ZoneSource] = ()) -> DnsServer:
    """Start the DNS server of a CA module.

    Args:
        core: The open store.
        listen: Address and port.
        module: The CA module's name; empty for the only one that brings a server.
        also: Further zones.

    Raises:
        InvalidInput: No module, or more than one, brings a server.
        CertCoreError: The address cannot be listened on.
    """
    if not module:
        able = sorted(name for name, one in core.authorities.modules().items() if isinstance(one, ServesZones))
        if len(able) != 1:
            choices = ", ".join(able) or "none"
            raise InvalidInput("module", f"name the CA module whose DNS server is meant; there are: {choices}.")
        module = able[0]
    return core.dns_server(listen=listen, module=module, also=also)


def parse_address(text: str, option: str) -> tuple[str, int]:
    """Read ``HOST:PORT``, with an IPv6 address in brackets.

    Raises:
        typer.BadParameter: It is not of this form.
    """
    host, separator, port = text.strip().rpartition(":")
    bare = host.removeprefix("[").removesuffix("]")
    if not separator or not bare or not port.isascii() or not port.isdigit() or int(port) > _MAX_PORT:
        raise typer.BadParameter(f"{text[:60]!r} is not HOST:PORT, for example 127.0.0.1:5353.", param_hint=option)
    return bare, int(port)


def _pair(zone: str) -> tuple[str, str]:
    name, separator, path = zone.partition("=")
    if not separator or not name.strip() or not path:
        raise typer.BadParameter(f"{zone[:60]!r} is not NAME=FILE.", param_hint="--zone")
    return name.strip(), path


def _zone_files(pairs: Sequence[tuple[str, str]]) -> list[ZoneSource]:
    if not pairs:
        return []
    from certcore.cli.zonefile import ZoneFile  # noqa: PLC0415 - dnspython costs 0.1 s

    return [ZoneFile(name, expanded(path, "--zone")) for name, path in pairs]

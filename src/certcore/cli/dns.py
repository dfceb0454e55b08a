"""``certcore dns``: the embedded DNS server in a process of its own."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Annotated, Final

import typer

from certcore.cli.given import expanded
from certcore.cli.interrupts import sigterm_interrupts
from certcore.cli.options import Database, Json
from certcore.cli.output import plain, reporting
from certcore.cli.privileges import become
from certcore.cli.store import locate, require_database, warn_of_plugins
from certcore.ports.dns import ZoneSource
from certcore.zone_serving import serve_zones

__all__ = ["dns", "parse_address"]

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
    user: Annotated[
        str | None,
        typer.Option(
            "--user",
            metavar="NAME[:GROUP]",
            help="Go on as this user when the address is taken, before the database is opened: started as root, it "
            "gives root up.",
        ),
    ] = None,
    database: Database = "",
    as_json: Json = False,
) -> None:
    """Serve the tech zones of all CA profiles, until Ctrl-C or SIGTERM. New profiles are served without a restart.

    It needs no keyring, and only reads the database.
    """
    address = parse_address(listen, "--listen")
    files = [_pair(one) for one in zones or ()]
    with reporting(as_json=as_json) as output, sigterm_interrupts():
        store = locate(database, "")
        require_database(store)
        server = serve_zones(
            store.url,
            listen=address,
            module=module,
            also=_zone_files(files),
            before_serving=(lambda: _go_on_as(user)) if user is not None else None,
        )
        try:
            warn_of_plugins(output, server.plugin_failures)
            host, port = server.address
            shown = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
            document = {"listening": {"host": host, "port": port, "address": shown}}
            output.result(document, lambda to: to.print(f"Listening on {plain(shown)} (UDP and TCP)."))
            stop = threading.Event()
            while not stop.wait(_LOOK):
                pass
        except KeyboardInterrupt:
            output.note("Stopping.", "dim")
        finally:
            server.close()


def _go_on_as(user: str) -> None:
    """Give up root. What is loaded when it is needed may be where the other user cannot read: it is loaded before."""
    import dns.rdtypes.ANY.HINFO  # noqa: F401, PLC0415
    import rich.console  # noqa: F401, PLC0415

    become(user)


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

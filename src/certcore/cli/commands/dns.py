"""``certcore dns``: the embedded DNS server in a process of its own."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Final

import typer

from certcore.cli.arguments import expanded
from certcore.cli.interrupts import sigterm_interrupts
from certcore.cli.options import Database, Json
from certcore.cli.output import plain, reporting
from certcore.cli.privileges import become
from certcore.cli.session import locate, require_database, warn_of_plugins
from certcore.errors import FileError
from certcore.model.transfer_keys import TransferKey, parse_transfer_keys
from certcore.ports.dns import ZoneSource
from certcore.zone_serving import serve_zones

__all__ = ["dns", "parse_address"]

_MAX_PORT: Final = 65535
#: Seconds between two checks for a signal, for systems on which a signal does not interrupt waiting.
_SIGNAL_CHECK_INTERVAL: Final = 1.0

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
        str,
        typer.Option("--module", metavar="MODULE", help="The CA module; by default the only one with a DNS server."),
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
            help="Switch to this user after binding the address and before opening the database, to drop root "
            "privileges.",
        ),
    ] = None,
    transfer_keys: Annotated[
        Path | None,
        typer.Option(
            "--transfer-keys",
            metavar="FILE",
            help="Keys that secondaries of the zones sign with, in the form of BIND's tsig-keygen.",
        ),
    ] = None,
    database: Database = "",
    as_json: Json = False,
) -> None:
    """Serve the tech zones of all CA profiles until Ctrl-C or SIGTERM. New profiles are served without a restart.

    Needs no keyring, and only reads the database.
    """
    address = parse_address(listen, "--listen")
    files = [_pair(zone) for zone in zones or ()]
    with reporting(as_json=as_json) as output, sigterm_interrupts():
        store = locate(database, "")
        require_database(store)
        server = serve_zones(
            store.url,
            listen=address,
            module=module,
            also=_zone_files(files),
            transfer_keys=() if transfer_keys is None else _read_keys(transfer_keys),
            before_serving=(lambda: _switch_user(user)) if user is not None else None,
        )
        try:
            warn_of_plugins(output, server.plugin_failures)
            host, port = server.address
            shown = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
            document = {"listening": {"host": host, "port": port, "address": shown}}
            output.result(document, lambda to: to.print(f"Listening on {plain(shown)} (UDP and TCP)."))
            stop = threading.Event()
            while not stop.wait(_SIGNAL_CHECK_INTERVAL):
                pass
        except KeyboardInterrupt:
            output.note("Stopping.", "dim")
        finally:
            server.close()


def _read_keys(path: Path) -> Sequence[TransferKey]:
    try:
        return parse_transfer_keys(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not text"
        raise FileError(f"The file {path} with transfer keys cannot be read: {reason}.") from None


def _switch_user(user: str) -> None:
    """Drop root privileges.

    Modules that are needed later are imported before, because the other user may not be able to read them.
    """
    import dns.rdtypes.ANY.HINFO  # noqa: F401, PLC0415
    import rich.console  # noqa: F401, PLC0415

    become(user)


def parse_address(text: str, option: str) -> tuple[str, int]:
    """Read ``HOST:PORT``, with an IPv6 address in brackets.

    Raises:
        typer.BadParameter: The text does not have this form.
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
    from certcore.cli.zone_file import ZoneFile  # noqa: PLC0415 - dnspython costs 0.1 s

    return [ZoneFile(name, expanded(path, "--zone")) for name, path in pairs]

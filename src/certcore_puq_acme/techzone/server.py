"""An authoritative DNS server for the tech zone, in a few threads.

UDP: a few threads take turns at one socket. The thread with the turn answers queries from memory. For a query that
needs the store, it passes the turn on first, so that a slow store does not delay other queries.

TCP: one thread serves all connections (RFC 7766). A slow or silent client only costs a little memory until its timeout.
If there are too many connections, the longest silent one of the network with the most connections is closed.
"""

from __future__ import annotations

import contextlib
import selectors
import socket
import threading
import time
from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Final, Self

from attrs import define, field, frozen

from certcore.errors import StorageError
from certcore.forks import renew_after_fork
from certcore.model.transfer_keys import TransferKey
from certcore.ports.dns import ListsRecords, ZoneSource
from certcore.ports.environment import Environment
from certcore_puq_acme.techzone.answer_limits import AnswerLimiter, AnswerLimits, network_of
from certcore_puq_acme.techzone.answers import answer, server_failure
from certcore_puq_acme.techzone.bounded_source import BoundedSource, SourceTimeoutError
from certcore_puq_acme.techzone.complaints import Complaints
from certcore_puq_acme.techzone.edns_options import EdnsOptions, ServerCookies
from certcore_puq_acme.techzone.notifier import Notifier
from certcore_puq_acme.techzone.remembered_answers import RememberedAnswers
from certcore_puq_acme.techzone.signatures import KeyRing, may_be_signed
from certcore_puq_acme.techzone.sockets import Datagram, ListenError, listen_on, receive, reply
from certcore_puq_acme.techzone.transfers import Transfers, may_be_transfer

__all__ = ["ListenError", "ServerOptions", "ZoneServer"]

#: How many octets are read from a connection at once. With the unsent answers, this limits the memory of a client.
_READ: Final = 4096
#: The largest number of octets of answers that wait for a slow client. Above this, its queries wait.
_MAX_UNSENT: Final = 65536
#: How many queries of one connection are answered before those of other connections.
_QUERIES_A_TURN: Final = 16
#: The longest server name in answers, in octets, because an answer must not be much longer than its query.
_MAX_IDENTITY: Final = 64
#: How many queries are read from the UDP socket at once. The sources' memory is fetched once for all of them, after the
#: last one has arrived, because that takes as long as answering a query.
_TAKEN_AT_ONCE: Final = 64
#: The pause in seconds after the system refused a connection because no file descriptors were left.
_ACCEPT_PAUSE: Final = 0.5


@frozen(kw_only=True)
class ServerOptions:
    """The limits of a `ZoneServer`."""

    #: How many UDP queries are processed at the same time.
    udp_threads: int = 4
    #: The largest number of TCP connections.
    max_connections: int = 256
    #: How many seconds a TCP connection may be idle, without a complete query or a received answer.
    idle_timeout: float = 5.0
    #: How many seconds a source may take for a query, before the answer is SERVFAIL.
    lookup_timeout: float = 1.5
    #: The limits of UDP answers to each network; None for no limit.
    answer_limits: AnswerLimits | None = AnswerLimits()
    #: The identifier of this server (NSID, RFC 5001); None for the host name, empty for none.
    identity: str | None = None
    #: The TSIG keys of secondaries (RFC 8945).
    transfer_keys: Sequence[TransferKey] = ()


class ZoneServer:
    """Serves zones over UDP and TCP from its creation until it is closed.

    Args:
        listen: Address (IPv4, IPv6, ``0.0.0.0``, or ``::`` for both families) and port; port 0 chooses a free port.
        sources: The zones. They are called for every query, from several threads.
        environment: Its clock gives the serial number of the SOA record.
        options: The limits of the server.
        monotonic: A monotonic clock in seconds.
        before_serving: Called once after the address is bound and before the first query is answered, to drop
            privileges and to open what the sources read. If it raises an exception, the server is closed.

    Raises:
        ListenError: The address or the port is not available; the message says why.
    """

    def __init__(
        self,
        listen: tuple[str, int],
        sources: Sequence[ZoneSource],
        environment: Environment,
        *,
        options: ServerOptions = ServerOptions(),
        monotonic: Callable[[], float] = time.monotonic,
        before_serving: Callable[[], object] | None = None,
    ) -> None:
        limits = options.answer_limits
        self._limiter = None if limits is None else AnswerLimiter(limits, monotonic)
        self._sources = tuple(BoundedSource(source, options.lookup_timeout, monotonic) for source in sources)
        self._environment = environment
        identity = socket.gethostname() if options.identity is None else options.identity
        self._edns = EdnsOptions(identity.encode()[:_MAX_IDENTITY], ServerCookies())
        self._complaints = Complaints(monotonic)
        self._udp, tcp = listen_on(*listen)
        host, port = self._udp.getsockname()[:2]
        self._address: tuple[str, int] = (host, port)
        # Written to once at the end, and never read, so that it stays readable and wakes every waiting thread.
        self._wake, self._awake = socket.socketpair()
        self._turn = threading.Lock()
        #: Queries that wait for an answer, and the sources' memory after their arrival; for the thread with the turn.
        self._taken: deque[Datagram] = deque()
        self._known: Sequence[ZoneSource] | None = None
        self._remembered = RememberedAnswers()
        self._now = environment.now()
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._udp, selectors.EVENT_READ)
        self._selector.register(self._awake, selectors.EVENT_READ)
        self._keys = KeyRing(options.transfer_keys) if options.transfer_keys else None
        keys = self._keys or KeyRing(())
        self._transfers = Transfers(self._sources, keys, environment, self._complaints.about)
        notifier = Notifier(host, self._sources, keys, self._awake, monotonic, self._complaints.about)
        self._connections = _Connections(
            tcp, self._awake, self._answer_tcp, self._transfers.begin, options=options, monotonic=monotonic
        )
        self._closing = threading.Lock()
        self._closed = False
        # Daemon threads, so that a program that does not close the server can still end.
        self._threads = [
            threading.Thread(target=self._serve_udp, name=f"certcore-dns-udp-{number}", daemon=True)
            for number in range(options.udp_threads)
        ]
        self._threads.append(threading.Thread(target=self._connections.run, name="certcore-dns-tcp", daemon=True))
        if any(isinstance(source, ListsRecords) for source in sources):
            self._threads.append(threading.Thread(target=notifier.run, name="certcore-dns-notify", daemon=True))
        renew_after_fork(self)
        try:
            if before_serving is not None:
                before_serving()
        except BaseException:  # boundary: the sockets are closed after any error
            self._connections.close()
            self._close_sockets()
            raise
        for thread in self._threads:
            thread.start()

    def after_fork(self) -> None:
        """Release the port in a child process, which has no threads, see `certcore.forks`."""
        self._closing = threading.Lock()
        if self._closed:
            return
        self._closed = True
        self._connections.abandon()
        self._selector.close()
        for each in (self._udp, self._wake, self._awake):
            each.close()

    @property
    def address(self) -> tuple[str, int]:
        """The address and port on which it listens, UDP and TCP."""
        return self._address

    def close(self) -> None:
        """Stop the server, join its threads and release the port. Further calls do nothing."""
        with self._closing:
            if self._closed:
                return
            self._closed = True
            self._wake.send(b"\0")
            for thread in self._threads:
                thread.join()
            self._close_sockets()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        host, port = self._address
        return f"<ZoneServer on {host} port {port}{', closed' if self._closed else ''}>"

    def _close_sockets(self) -> None:
        for source in self._sources:
            source.close()
        self._selector.close()
        for each in (self._udp, self._wake, self._awake):
            each.close()

    def _serve_udp(self) -> None:
        while True:
            # One thread waits for packets, so that a packet does not wake all threads.
            with self._turn:
                datagram = self._answer_what_is_known()
            if datagram is None:
                return
            data = self._answer(datagram.data, str(datagram.sender[0]))
            if data is not None:
                reply(self._udp, datagram, data)

    def _answer_what_is_known(self) -> Datagram | None:
        """Answer queries from memory. Returns the first query that needs a store; None when the server closes."""
        while not self._closed:
            if not self._taken:
                self._take_datagrams()
                self._known = None
                continue
            datagram = self._taken.popleft()
            if self._keys is not None and may_be_signed(datagram.data):
                return datagram
            try:
                if self._known is None:
                    # Fetched after the arrival of the queries, so that no answer is older than its query.
                    known = tuple(source.known() for source in self._sources)
                    self._remembered.use_zones(known)
                    self._known, self._now = known, self._environment.now()
                data = answer(
                    datagram.data,
                    self._known,
                    now=self._now,
                    limiter=self._limiter,
                    address=str(datagram.sender[0]),
                    edns=self._edns,
                    remembered=self._remembered,
                )
            except Exception:  # isolation: any error is handled where the store is queried
                self._known = None  # more is in memory afterwards
                return datagram
            if data is not None:
                reply(self._udp, datagram, data)
        return None

    def _take_datagrams(self) -> None:
        """Read the queries that have arrived. Waits for at least one, or until the server closes."""
        while not self._closed:
            try:
                for _ in range(_TAKEN_AT_ONCE):
                    self._taken.append(receive(self._udp))
            except OSError:
                # No packet, or an ICMP error for an earlier answer, which is ignored.
                pass
            if self._taken:
                return
            self._selector.select()

    def _answer_tcp(self, query: bytes, address: str) -> bytes | None:
        return self._answer(query, address, tcp=True)

    def _answer(self, query: bytes, address: str, *, tcp: bool = False) -> bytes | None:
        """Answer a query, and sign the answer to a signed one."""
        signed = self._keys.read(query) if self._keys is not None and may_be_signed(query) else None
        if signed is None:
            return self._answer_unsigned(query, address, tcp=tcp)
        if isinstance(signed, bytes):
            return signed
        data = self._answer_unsigned(signed.wire, address, tcp=tcp)
        return None if data is None else next(signed.signed([data], self._seconds))

    def _seconds(self) -> int:
        return int(self._environment.now().timestamp())

    def _answer_unsigned(self, query: bytes, address: str, *, tcp: bool) -> bytes | None:
        """Answer a query. Answers over TCP are not limited, because the address cannot be forged."""
        sources = tuple(source.for_a_query() for source in self._sources)

        def answered() -> bytes | None:
            return answer(
                query,
                sources,
                now=self._environment.now(),
                tcp=tcp,
                limiter=None if tcp else self._limiter,
                address=address,
                edns=self._edns,
            )

        try:
            try:
                return answered()
            except SourceTimeoutError:
                raise
            except StorageError:
                # Try again: the database may have been restarted, and a SERVFAIL could fail a validation.
                return answered()
        except Exception as error:  # isolation: a source may be a plugin's code
            self._complaints.about(error)
            return server_failure(query)


@define(eq=False)
class _Connection:
    """One TCP client."""

    socket: socket.socket
    #: The client's IP address as text.
    address: str
    #: The client's network, see `network_of`.
    network: str
    received: bytearray = field(factory=bytearray)
    unsent: bytearray = field(factory=bytearray)
    #: When the last query was complete or the last answer was received.
    active_at: float = 0.0
    #: Whether the client will send nothing more.
    finished: bool = False


class _Connections:
    """All TCP connections, in one thread."""

    def __init__(
        self,
        listener: socket.socket,
        awake: socket.socket,
        answer_query: Callable[[bytes, str], bytes | None],
        begin_transfer: Callable[[bytes, socket.socket, str], bytes | None],
        *,
        options: ServerOptions,
        monotonic: Callable[[], float],
    ) -> None:
        self._listener = listener
        self._awake = awake
        self._answer_query = answer_query
        self._begin_transfer = begin_transfer
        self._limit = options.max_connections
        self._idle_timeout = options.idle_timeout
        self._monotonic = monotonic
        self._selector = selectors.DefaultSelector()
        self._selector.register(awake, selectors.EVENT_READ)
        self._selector.register(listener, selectors.EVENT_READ)
        self._accept_again_at: float | None = None
        #: The longest silent first.
        self._open: OrderedDict[_Connection, None] = OrderedDict()

    def run(self) -> None:
        """Serve until the server is closed."""
        try:
            while self._round():
                pass
        finally:
            self.close()

    def close(self) -> None:
        """Close all connections and the listening socket."""
        for connection in list(self._open):
            self._drop(connection)
        self._selector.close()
        self._listener.close()

    def abandon(self) -> None:
        """Close this process's copies of the connections. The parent process keeps its own."""
        for connection in self._open:
            connection.socket.close()
        self._selector.close()
        self._listener.close()

    def _round(self) -> bool:
        for key, events in self._selector.select(self._patience()):
            if key.fileobj is self._awake:
                return False
            if key.fileobj is self._listener:
                self._accept()
            elif key.data in self._open:
                self._attend(key.data, events)
        now = self._monotonic()
        while self._open and next(iter(self._open)).active_at + self._idle_timeout <= now:
            self._drop(next(iter(self._open)))
        if self._accept_again_at is not None and now >= self._accept_again_at:
            self._accept_again_at = None
            self._selector.register(self._listener, selectors.EVENT_READ)
        return True

    def _patience(self) -> float | None:
        """Seconds until the next timeout."""
        moments = [next(iter(self._open)).active_at + self._idle_timeout] if self._open else []
        if self._accept_again_at is not None:
            moments.append(self._accept_again_at)
        return max(0.0, min(moments) - self._monotonic()) if moments else None

    def _accept(self) -> None:
        try:
            accepted, sender = self._listener.accept()
        except (BlockingIOError, ConnectionError):
            return
        except OSError:
            # No file descriptors are left. The listener stays readable, so this would be a busy loop without a pause.
            self._selector.unregister(self._listener)
            self._accept_again_at = self._monotonic() + _ACCEPT_PAUSE
            return
        accepted.setblocking(False)
        if len(self._open) >= self._limit:
            # RFC 7766 section 6.2.3: under load a server may close idle connections early.
            self._drop(self._most_dispensable())
        address = str(sender[0])
        connection = _Connection(accepted, address, network_of(address), active_at=self._monotonic())
        self._open[connection] = None
        self._selector.register(accepted, selectors.EVENT_READ, connection)

    def _most_dispensable(self) -> _Connection:
        """The longest silent connection of the network with the most connections."""
        open_by_network = Counter(connection.network for connection in self._open)
        most = max(open_by_network.values())
        return next(connection for connection in self._open if open_by_network[connection.network] == most)

    def _attend(self, connection: _Connection, events: int) -> None:
        try:
            if events & selectors.EVENT_READ:
                chunk = connection.socket.recv(_READ)
                connection.received += chunk
                connection.finished = not chunk
            more = self._work_off(connection)
        except BlockingIOError:
            return
        except OSError:
            self._drop(connection)
            return
        if connection not in self._open:
            return
        if connection.finished and not more:
            self._drop(connection)
            return
        # If a client does not read its answers, its queries are not read either. A client with many queries waits for
        # its next turn, which comes when it can receive answers.
        events_to_watch = selectors.EVENT_WRITE if more else selectors.EVENT_READ
        self._selector.modify(connection.socket, events_to_watch, connection)

    def _work_off(self, connection: _Connection) -> bool:
        """Answer some complete queries in order and send the answers; returns whether more of both are left."""
        for _ in range(_QUERIES_A_TURN):
            query = self._next_query(connection)
            if query is None:
                break
            self._touch(connection)
            if may_be_transfer(query) and not connection.unsent:
                data = self._transfer(connection, query)
                if connection not in self._open:
                    return False
            else:
                data = self._answer_query(query, connection.address)
            if data is not None:
                connection.unsent += len(data).to_bytes(2, "big")
                connection.unsent += data
        if connection.unsent:
            with contextlib.suppress(BlockingIOError):
                sent = connection.socket.send(connection.unsent)
                del connection.unsent[:sent]
            if connection.unsent:
                return True
            self._touch(connection)
        return _has_query(connection.received)

    def _transfer(self, connection: _Connection, query: bytes) -> bytes | None:
        """Pass a connection to a zone transfer; returns the answer if the query gets no transfer."""
        own = connection.socket.dup()
        data = self._begin_transfer(query, own, connection.address)
        if data is not None:
            own.close()
            return data
        self._drop(connection)
        return None

    def _next_query(self, connection: _Connection) -> bytes | None:
        """The next query, if it is complete and the client receives its answers."""
        received = connection.received
        if len(connection.unsent) > _MAX_UNSENT or not _has_query(received):
            return None
        end = 2 + int.from_bytes(received[:2], "big")
        query = bytes(received[2:end])
        del received[:end]
        return query

    def _touch(self, connection: _Connection) -> None:
        connection.active_at = self._monotonic()
        self._open.move_to_end(connection)

    def _drop(self, connection: _Connection) -> None:
        del self._open[connection]
        with contextlib.suppress(KeyError, ValueError):
            self._selector.unregister(connection.socket)
        connection.socket.close()


def _has_query(received: bytearray) -> bool:
    """Whether a message is complete. Its length is in the first two octets (RFC 1035 section 4.2.2)."""
    return len(received) >= 2 and len(received) >= 2 + int.from_bytes(received[:2], "big")  # noqa: PLR2004 - octets

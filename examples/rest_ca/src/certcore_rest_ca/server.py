"""A small HTTP server for `certcore_rest_ca.service.CAService`, on the loopback interface.

::

    PUT    /orders/ID                 {"csr": PEM, "names": [...]}       201 placed, 200 known already
    GET    /orders/ID                                                    {"status": ..., "chain": PEM, "reason": ...}
    DELETE /orders/ID                                                    204
    POST   /revocations               {"certificate": PEM, "reason": ...}
    GET    /status
    GET    /pending                   with the approver's token
    POST   /pending/CLIENT/ID/approve
    POST   /pending/CLIENT/ID/refuse  {"reason": ...}

Clients send their token as ``Authorization: Bearer TOKEN``.
"""

from __future__ import annotations

import argparse
import hmac
import json
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

from certcore_rest_ca.service import CAService, ConflictError, StoredOrder, UnknownError, UnsuitableError

__all__ = ["RestCAServer", "main", "serve"]

_LONGEST_REQUEST: Final = 64 * 1024
#: The name of the approver among the clients; the approver has no orders.
_APPROVER: Final = "approver"
_Answer = tuple[HTTPStatus, Mapping[str, Any] | None]


class RestCAServer(ThreadingHTTPServer):
    """Serves a `CAService`.

    Args:
        service: The CA.
        tokens: The name of each client, and ``approver``, with its token.
        port: The port; 0 for a free one.
    """

    daemon_threads = True

    def __init__(self, service: CAService, tokens: Mapping[str, str], *, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.service = service
        self.tokens = dict(tokens)
        #: While it is set, all requests are answered with this status, and ``Retry-After: 120``.
        self.trouble: HTTPStatus | None = None

    @property
    def url(self) -> str:
        """Where the API begins."""
        return f"http://127.0.0.1:{self.server_address[1]}/"

    def client_of(self, authorization: str) -> str | None:
        """The name of the client that sent this header; None for an unknown token."""
        for name, token in self.tokens.items():
            if hmac.compare_digest(authorization.encode(), f"Bearer {token}".encode()):
                return name
        return None


@contextmanager
def serve(service: CAService, tokens: Mapping[str, str]) -> Iterator[RestCAServer]:
    """Serve in a thread, until the block ends."""
    with RestCAServer(service, tokens) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join(timeout=30)


class _Handler(BaseHTTPRequestHandler):
    server: RestCAServer
    protocol_version = "HTTP/1.1"
    timeout = 30

    def answer(self) -> None:
        """Answer one request."""
        try:
            status, document = self._routed()
        except UnknownError as error:
            status, document = HTTPStatus.NOT_FOUND, {"error": str(error)}
        except ConflictError as error:
            status, document = HTTPStatus.CONFLICT, {"error": str(error)}
        except (UnsuitableError, ValueError, KeyError, TypeError) as error:
            text = str(error) if isinstance(error, UnsuitableError) else "The request cannot be read."
            status, document = HTTPStatus.UNPROCESSABLE_ENTITY, {"error": text}
        content = b"" if document is None else json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        if self.server.trouble is not None:
            self.send_header("Retry-After", "120")
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_PUT = do_POST = do_DELETE = answer  # noqa: N815 - the names that http.server asks for

    def _routed(self) -> _Answer:
        length = int(self.headers.get("Content-Length", 0))
        if not 0 <= length <= _LONGEST_REQUEST:
            self.close_connection = True
            return HTTPStatus.REQUEST_ENTITY_TOO_LARGE, {"error": "The request is too long."}
        content = self.rfile.read(length)
        if self.server.trouble is not None:
            return self.server.trouble, {"error": "maintenance"}
        client = self.server.client_of(self.headers.get("Authorization", ""))
        if client is None:
            return HTTPStatus.UNAUTHORIZED, {"error": "unknown token"}
        body = json.loads(content) if content else {}
        parts = self.path.strip("/").split("/")
        return self._approver(parts, body) if client == _APPROVER else self._client(client, parts, body)

    def _client(self, client: str, parts: list[str], body: Mapping[str, Any]) -> _Answer:
        service = self.server.service
        match self.command, *parts:
            case "GET", "status":
                return HTTPStatus.OK, {"name": "Approving CA"}
            case "PUT", "orders", order_id:
                order, is_new = service.order(client, order_id, str(body["csr"]), [str(name) for name in body["names"]])
                return HTTPStatus.CREATED if is_new else HTTPStatus.OK, order.document()
            case "GET", "orders", order_id:
                return HTTPStatus.OK, service.look(client, order_id).document()
            case "DELETE", "orders", order_id:
                service.cancel(client, order_id)
                return HTTPStatus.NO_CONTENT, None
            case "POST", "revocations":
                service.revoke(client, str(body["certificate"]), str(body.get("reason", "")))
                return HTTPStatus.OK, {"status": "revoked"}
            case _:
                raise UnknownError("There is no such page.")

    def _approver(self, parts: list[str], body: Mapping[str, Any]) -> _Answer:
        service = self.server.service
        match self.command, *parts:
            case "GET", "pending":
                return HTTPStatus.OK, {"orders": [_listed(order) for order in service.pending()]}
            case "POST", "pending", client, order_id, "approve":
                return HTTPStatus.OK, service.approve(client, order_id).document()
            case "POST", "pending", client, order_id, "refuse":
                return HTTPStatus.OK, service.refuse(client, order_id, str(body.get("reason", ""))).document()
            case _:
                raise UnknownError("There is no such page.")

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class names it so
        """Log nothing, so that the output has only the address."""


def _listed(order: StoredOrder) -> dict[str, Any]:
    return {"client": order.client, **order.document()}


def main(arguments: list[str] | None = None, *, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
    """Run the server until it is interrupted."""
    parser = argparse.ArgumentParser(prog="rest-ca-server", description="A CA with approval, for trying things out.")
    parser.add_argument("--port", type=int, default=8765)
    parser.add_argument("--token", required=True, help="the token of the client")
    parser.add_argument("--approver-token", required=True, help="the token of the approver")
    options = parser.parse_args(arguments)
    tokens = {"panel": options.token, _APPROVER: options.approver_token}
    with RestCAServer(CAService(clock), tokens, port=options.port) as server:
        sys.stdout.write(f"The CA answers at {server.url}\n")
        sys.stdout.flush()
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            return


if __name__ == "__main__":
    main()

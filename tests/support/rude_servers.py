"""Servers that do with a connection what a test tells them."""

import contextlib
import socket
import threading


@contextlib.contextmanager
def rude_servers():
    """Yields what starts such a server for one connection, in a thread of its own, and returns its port."""
    with contextlib.ExitStack() as stack:

        def start(behave):
            listening = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
            listening.settimeout(60)

            def serve():
                with contextlib.suppress(OSError), listening.accept()[0] as connected:
                    connected.settimeout(60)
                    behave(connected)

            thread = threading.Thread(target=serve)
            thread.start()
            stack.callback(thread.join, 60)
            return listening.getsockname()[1]

        yield start

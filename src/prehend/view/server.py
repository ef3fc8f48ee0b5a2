"""A small web server for the page and its events: standard library, this machine alone unless asked otherwise."""

import errno
import ipaddress
import json
import socket
from collections.abc import Callable
from contextlib import closing
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from types import TracebackType
from typing import Any

from prehend import __version__
from prehend.errors import ParameterError
from prehend.view.feed import Feed

PAGE = Path(__file__).parent / "page"
_KINDS = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
_GONE_S = 10.0
"""A viewer that takes nothing for this long has left."""
_LONGEST_COMMAND = 200
_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'self'; img-src 'self' data: blob:; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


class ViewServer:
    """Serves the page, its events (`/events`) and takes commands (`POST /control`), in threads of its own.

    Requests must name a host that the server was opened on, so that a page from elsewhere, in the same browser, neither
    reads nor commands it (DNS rebinding); opened wider, any name does.

    Args:
        feed: gives the events.
        command: takes the commands; None where there is nothing to command.
        host: name or address to listen on.
        port: 0 takes a free one.

    Raises:
        ParameterError: the port is taken or not allowed, or the host is none of this machine.
    """

    def __init__(self, feed: Feed, command: Callable[[str], None] | None, host: str, port: int) -> None:
        address = _address(host, port)
        try:
            self._http = _Http(address, feed, command, is_loopback(address[0]))
        except OSError as error:
            raise ParameterError(_why_not(error, host, port)) from error
        self.host, self.port = host, int(self._http.server_address[1])
        self._feed = feed
        self._thread = Thread(target=self._http.serve_forever, args=(0.1,), name="prehend-view", daemon=True)

    @property
    def url(self) -> str:
        """Of the page, for a browser on this machine."""
        host = {"0.0.0.0": "127.0.0.1", "": "127.0.0.1", "::": "::1"}.get(self.host, self.host)
        return f"http://[{host}]:{self.port}/" if ":" in host else f"http://{host}:{self.port}/"

    @property
    def is_open(self) -> bool:
        """Whether other machines can see the page."""
        return not self._http.loopback

    def __enter__(self) -> "ViewServer":
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._feed.close()
        self._http.shutdown()
        self._http.server_close()


class _Http(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False  # a viewer that reads no more must not hold the end up

    def __init__(
        self, address: tuple[str, int], feed: Feed, command: Callable[[str], None] | None, loopback: bool
    ) -> None:
        self.feed, self.command, self.loopback = feed, command, loopback
        self.address_family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        super().__init__(address, _Handler)

    def server_bind(self) -> None:
        """Bind without asking a name server who we are, as the base class does."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A viewer that left in the middle of something is no news."""


class _Handler(BaseHTTPRequestHandler):
    server: _Http
    server_version, sys_version = f"prehend/{__version__}", ""
    timeout = _GONE_S

    def do_GET(self) -> None:
        """The page's files and its events."""
        if not self._is_ours():
            return
        path = self.path.partition("?")[0]
        if path == "/events":
            self._events()
            return
        file = PAGE / ("index.html" if path == "/" else path[1:])
        if file.parent != PAGE or file.suffix not in _KINDS or not file.is_file():
            self._answer(HTTPStatus.NOT_FOUND, b"there is no such page\n")
            return
        self._answer(HTTPStatus.OK, file.read_bytes(), _KINDS[file.suffix])

    def do_POST(self) -> None:
        """A command, as `{"do": "pause"}`."""
        if not self._is_ours():
            return
        if self.path != "/control" or self.server.command is None:
            self._answer(HTTPStatus.NOT_FOUND, b"there is nothing to command\n")
            return
        # a form of a page from elsewhere cannot send this type unasked
        if self.headers.get("Content-Type", "").partition(";")[0].strip() != "application/json":
            self._answer(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, b"commands are application/json\n")
            return
        try:
            length = int(self.headers.get("Content-Length", ""))
            if not 0 < length <= _LONGEST_COMMAND:
                raise ValueError
            self.server.command(str(json.loads(self.rfile.read(length))["do"]))
        except ParameterError as error:
            self._answer(HTTPStatus.BAD_REQUEST, f"{error}\n".encode())
        except (ValueError, TypeError, KeyError, RecursionError):
            self._answer(HTTPStatus.BAD_REQUEST, b'commands look like {"do": "pause"}\n')
        else:
            self._answer(HTTPStatus.NO_CONTENT, b"")

    def _events(self) -> None:
        events = self.server.feed.join()
        if events is None:
            self._answer(HTTPStatus.SERVICE_UNAVAILABLE, b"too many viewers\n")
            return
        with closing(events):
            self._head(HTTPStatus.OK, "text/event-stream")
            self.end_headers()
            try:
                for data in events:
                    self.wfile.write(data)
            except OSError:  # the viewer has left
                return

    def _is_ours(self) -> bool:
        host = self.headers.get("Host", "")
        origin = self.headers.get("Origin")
        named = host.rpartition(":")[0] if host.rpartition(":")[2].isdecimal() else host
        if (self.server.loopback and not is_loopback(named.strip("[]"))) or origin not in (None, f"http://{host}"):
            self._answer(HTTPStatus.FORBIDDEN, b"this page is for its own machine\n")
            return False
        return True

    def _answer(self, status: HTTPStatus, body: bytes, kind: str = "text/plain") -> None:
        self._head(status, kind)
        if status != HTTPStatus.NO_CONTENT:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _head(self, status: HTTPStatus, kind: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", f"{kind}; charset=utf-8")
        self.send_header("Connection", "close")
        for name, value in _HEADERS.items():
            self.send_header(name, value)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing about requests."""


def is_loopback(host: str) -> bool:
    """Whether a name or address stands for this machine alone."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def _address(host: str, port: int) -> tuple[str, int]:
    """The first address of a name, IPv4 before IPv6."""
    try:
        found = socket.getaddrinfo(host or "0.0.0.0", port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError) as error:
        raise ParameterError(f"--host {host}: no machine has that name") from error
    found.sort(key=lambda one: one[0] != socket.AF_INET)
    return str(found[0][4][0]), port


def _why_not(error: OSError, host: str, port: int) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"port {port} is taken: is another view running? Give another --port, or 0 for a free one"
    if error.errno in (errno.EACCES, errno.EPERM):
        return f"port {port} is not allowed: give one from 1024 on, or 0 for a free one"
    return (
        f"--host {host} cannot be opened ({(error.strerror or str(error)).lower()}): is it an address of this machine?"
    )

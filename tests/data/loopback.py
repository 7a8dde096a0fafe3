"""Local web server with selectable faults."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread


@dataclass
class Loopback:
    """Serves `files`; `break_at` cuts the connection after so many bytes, once per entry; `ranges` allows resuming."""

    files: dict[str, bytes]
    break_at: list[int] = field(default_factory=list)
    ranges: bool = True
    url: str = ""
    asked: list[str] = field(default_factory=list)  # the Range header of each request, or ""

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        wanted = request.headers.get("Range", "")
        self.asked.append(wanted)
        content = self.files.get(request.path.lstrip("/"))
        if content is None:
            request.send_error(404)
            return
        start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted and self.ranges else 0
        if start >= len(content) and start:
            request.send_response(416)
            request.send_header("Content-Range", f"bytes */{len(content)}")
            request.send_header("Content-Length", "0")
            request.end_headers()
            return
        request.send_response(206 if start else 200)
        if start:
            request.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        request.send_header("Content-Length", str(len(content) - start))
        request.end_headers()
        end = start + self.break_at.pop(0) if self.break_at else len(content)
        request.wfile.write(content[start:end])


@contextmanager
def serving(loopback: Loopback) -> Iterator[Loopback]:
    """The server runs in a thread inside the block, at `loopback.url`."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            loopback.answer(self)

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    loopback.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield loopback
    finally:
        server.shutdown()
        server.server_close()

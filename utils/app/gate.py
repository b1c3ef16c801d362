"""What stands between the network and Gradio: only what the page itself needs is let through.

Gradio offers more than one page needs: addresses are fetched, sessions written to disk, a monitor, a history of runs.
Everything that is not listed here is refused, so that what a later Gradio adds is refused too.
"""

from __future__ import annotations

import ipaddress
import json
import socket
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from .uploads import bytes_in

__all__ = ["Gate"]

API = "/gradio_api/"
PAGES = {"/", "/config", "/favicon.ico", "/manifest.json", "/robots.txt", "/theme.css"}
PAGES |= {f"{API}{name}" for name in ("app_id", "info", "queue/data", "upload_progress")}
BELOW = ("/assets/", "/static/", "/svelte/", f"{API}call/", f"{API}heartbeat/", f"{API}file=")
JOBS = {f"{API}cancel", f"{API}queue/join", f"{API}reset"}
UPLOAD = f"{API}upload"

LONGEST_JOB = 2**16  # bytes; it names uploads and settings
AROUND_A_FILE = 2**16  # bytes of an upload that are not the file's
ROOM = 8  # largest uploads that lie in the folder at one time

# The browser, too, is told to fetch nothing from elsewhere and to show the page in no other one.
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; worker-src 'self' blob:; "
        "style-src 'self' 'unsafe-inline'; font-src 'self' data:; img-src 'self' data: blob:; "
        "media-src 'self' data: blob:; frame-ancestors 'none'; base-uri 'self'; form-action 'self'"
    ),
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}


class Refused(Exception):
    """A request that is not let through.

    Attributes:
        status: of HTTP.
    """

    def __init__(self, status: int, sentence: str):
        super().__init__(sentence)
        self.status = status


class Gate:
    """An ASGI application that hands on what another one may see.

    Args:
        app: the other one.
        folder: where uploads lie; no other file is read or named.
        host: address that the page listens on, as the user gave it.
        max_upload: bytes of a file that is taken.
    """

    def __init__(self, app: Any, *, folder: Path, host: str, max_upload: int):
        self.app, self.folder, self.max_upload = app, folder.resolve(), max_upload
        self.names = {"localhost", socket.gethostname().lower(), host.lower()}

    async def __call__(self, scope: dict, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
        elif scope["type"] == "http":
            try:
                self.check(scope)
                body = None
                if scope["method"] == "POST" and scope["path"] != UPLOAD:
                    body = await read_body(receive)
                    self.check_files(body)
            except Refused as error:
                await answer(send, error)
                return
            from starlette.requests import ClientDisconnect  # comes with Gradio

            with suppress(ClientDisconnect):  # in the middle of an upload; what came of it is removed later
                await self.app(scope, receive if body is None else given_again(body, receive), with_headers(send))

    def check(self, scope: dict) -> None:
        """Look at what is asked for, before anything of its body is read.

        Raises:
            Refused: by another name, from another page, of something else, or too long.
        """
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        host = headers.get("host", "")
        # A page from elsewhere can let its own name point here, and would then read all that is shown.
        if not self.is_ours(host):
            raise Refused(421, "the page answers to its address, to localhost and to what --host names")
        if "origin" in headers and urlsplit(headers["origin"]).netloc.lower() != host.lower():
            raise Refused(403, "another page asks for it")
        if headers.get("sec-fetch-site") == "cross-site" and headers.get("sec-fetch-mode") != "navigate":
            raise Refused(403, "another page asks for it")
        method, path = scope["method"], scope["path"]
        if method in ("GET", "HEAD"):
            if path not in PAGES and not path.startswith(BELOW):
                raise Refused(404, "there is nothing of this name")
            if path.startswith(f"{API}file=") and not self.is_upload(path.removeprefix(f"{API}file=")):
                raise Refused(403, "only what was uploaded here is given out")
        elif method == "POST" and (path in JOBS or path == UPLOAD or path.startswith(f"{API}call/")):
            self.check_length(headers.get("content-length", ""), is_upload=path == UPLOAD)
        else:
            raise Refused(404, "there is nothing of this name")

    def is_ours(self, host: str) -> bool:
        """Whether a Host header names the page: an address, or one of its names."""
        try:
            name = urlsplit(f"//{host}").hostname or ""
        except ValueError:
            return False
        try:
            return bool(ipaddress.ip_address(name))
        except ValueError:
            return name in self.names

    def check_length(self, stated: str, *, is_upload: bool) -> None:
        """Look at the length that a request states.

        Raises:
            Refused: none is stated, it is too long, or too much lies here already.
        """
        if not stated.isdecimal() or len(stated) > 15:
            raise Refused(411, "the length of what is sent must be stated")
        if not is_upload and int(stated) > LONGEST_JOB:
            raise Refused(413, f"the request is too long; {LONGEST_JOB} bytes are taken")
        if is_upload and int(stated) > self.max_upload + AROUND_A_FILE:
            told = f"the file is too large; {self.max_upload / 1e6:g} MB are taken, --max_upload allows more"
            raise Refused(413, told)
        if is_upload and bytes_in(self.folder) + int(stated) > ROOM * (self.max_upload + AROUND_A_FILE):
            raise Refused(507, "there is no room for more uploads at the moment; try again in some minutes")

    def check_files(self, body: bytes) -> None:
        """Look at the files that a job names.

        Raises:
            Refused: something that is no JSON, or names what was not uploaded.
        """
        try:
            job = json.loads(body or b"{}")
        except (ValueError, RecursionError) as error:
            raise Refused(400, "JSON was expected") from error
        for path in paths_in(job):
            if not isinstance(path, str) or not self.is_upload(path):
                raise Refused(403, "only files that were uploaded here are opened")

    def is_upload(self, path: str) -> bool:
        """Whether a path is below the folder of uploads, links followed."""
        try:
            return Path(path).is_absolute() and self.folder in Path(path).resolve().parents
        except (OSError, ValueError, RuntimeError):
            return False


def paths_in(value: Any) -> Iterator[Any]:
    """The "path" of everything in a job that is a file, None where it has none but an address."""
    waiting = [value]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            if {"path", "url"} & value.keys():
                yield value.get("path")
            waiting += value.values()
        elif isinstance(value, list):
            waiting += value


async def read_body(receive: Any) -> bytes:
    """The body of a request whose length was checked; the server holds clients to the length they state."""
    body, more = b"", True
    while more:
        message = await receive()
        if message["type"] != "http.request":
            return b""
        body += message.get("body", b"")
        more = message.get("more_body", False)
    return body


def given_again(body: bytes, receive: Any) -> Any:
    """A `receive` that hands out a body that was read, then goes on."""
    waiting = [{"type": "http.request", "body": body, "more_body": False}]

    async def again() -> dict:
        return waiting.pop() if waiting else await receive()

    return again


def with_headers(send: Any) -> Any:
    """A `send` that adds what browsers are told."""
    added = [(name.lower().encode(), value.encode()) for name, value in HEADERS.items()]
    names = {name for name, _ in added}

    async def sent(message: dict) -> None:
        if message["type"] == "http.response.start":
            kept = [(name, value) for name, value in message.get("headers", []) if name.lower() not in names]
            message = {**message, "headers": kept + added}
        await send(message)

    return sent


async def answer(send: Any, error: Refused) -> None:
    """Tell why a request is refused."""
    told = json.dumps({"detail": str(error)}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(told)).encode())]
    # what a refused client goes on sending is not read
    headers.append((b"connection", b"close"))
    await with_headers(send)({"type": "http.response.start", "status": error.status, "headers": headers})
    await send({"type": "http.response.body", "body": told})

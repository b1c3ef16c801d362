"""Serving the page: an address that is taken first, a folder that goes afterwards, Gradio behind a gate."""

from __future__ import annotations

import errno
import logging
import os
import shutil
import socket
import stat
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from measure.io import CommandError, InputError, locked_folder

if TYPE_CHECKING:
    from ..prediction import Predictor

__all__ = ["ServedPage", "bind", "open_page"]

PREFIX = "polyp-page-"  # of the temporary folders
MOST_CONNECTIONS = 64
SWEEP = 30  # seconds between looks for old uploads
START = 120  # seconds that a busy machine may need to start the server


@dataclass(frozen=True)
class ServedPage:
    """A page that is being served.

    Attributes:
        local_url: where it is, with a slash at the end.
        thread: in which it is served.
    """

    local_url: str
    thread: threading.Thread

    def wait(self) -> None:
        """Wait for its end; a signal may come in between."""
        while self.thread.is_alive():
            self.thread.join(1)


@contextmanager
def open_page(
    predictor: Predictor, taken: socket.socket, *, host: str, max_upload: float, max_seconds: float
) -> Iterator[ServedPage]:
    """Serve the page while the block runs.

    Args:
        predictor: what looks at the images.
        taken: the address, see `bind`.
        host: what it was called.
        max_upload: megabytes of a file that is taken.
        max_seconds: length of a clip that is taken.

    Raises:
        CommandError: the server did not start.
    """
    remove_left_folders()
    with temporary_folder() as folder:
        page = build(predictor, folder, max_seconds)
        app = gated(page.blocks, folder, host, int(max_upload * 1e6))
        with served(app, taken) as thread, swept(folder):
            try:
                yield ServedPage(url_of(host, taken.getsockname()[1]), thread)
            finally:
                page.close()


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """A folder for uploads that goes with the block; the one that it lies in is locked meanwhile."""
    with (
        tempfile.TemporaryDirectory(prefix=PREFIX, ignore_cleanup_errors=True) as own,
        locked_folder(own, doing="cleans up", advice="start the page again"),
    ):
        (folder := Path(own) / "uploads").mkdir()
        yield folder


def remove_left_folders() -> None:
    """Remove the folders of pages that were killed, which may hold pictures of patients; living pages hold theirs."""
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        if not is_own_folder(folder):
            continue
        # a living page's is refused; where there are no locks, nobody can tell
        with suppress(InputError), locked_folder(folder, doing="serves from", advice="") as is_locked:
            if is_locked:
                shutil.rmtree(folder, ignore_errors=True)


def is_own_folder(path: Path) -> bool:
    """Whether a path is a folder of this user, and no link, which anybody may put into a folder that all share."""
    try:
        facts = path.lstat()
    except OSError:  # gone meanwhile
        return False
    return stat.S_ISDIR(facts.st_mode) and (os.name != "posix" or facts.st_uid == os.getuid())


def bind(host: str, port: int) -> socket.socket:
    """Take an address; connections wait until the server answers them. Port 0 stands for a free one.

    Raises:
        InputError: it cannot be taken.
    """
    try:
        found = socket.getaddrinfo(host.strip("[]"), port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError) as error:
        raise InputError(f"--host {host} is no address that is known here; give one of this machine's") from error
    failed = None
    for family, kind, protocol, _, address in found:
        try:
            taken = socket.socket(family, kind, protocol)
        except OSError as error:
            failed = error
            continue
        try:
            if os.name == "posix":  # elsewhere it would let two programs share a port
                taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            taken.bind(address)
            taken.listen()
            return taken
        except OSError as error:
            taken.close()
            failed = error
    raise unusable(host, port, failed) from failed


def unusable(host: str, port: int, error: OSError) -> InputError:
    reasons = {
        errno.EADDRINUSE: "it is taken; give another --port",
        errno.EACCES: "that takes rights that you do not have; give a --port above 1023",
        errno.EADDRNOTAVAIL: "this machine has no such address; give another --host",
    }
    return InputError(f"port {port} of {host} cannot be used: {reasons.get(error.errno, error.strerror)}")


def build(predictor: Predictor, folder: Path, max_seconds: float) -> Any:
    """The page, laid out, whose files lie in `folder`."""
    # read by Gradio when it is imported, when a page is laid out and when it is mounted
    os.environ |= {
        "GRADIO_ANALYTICS_ENABLED": "False",
        "GRADIO_RUN_HISTORY": "False",
        "GRADIO_TEMP_DIR": str(folder),
        "HF_HUB_OFFLINE": "1",
    }
    from .page import Page

    return Page(predictor, folder, max_seconds)


def gated(blocks: Any, folder: Path, host: str, max_upload: int) -> Any:
    """Gradio's page as an application, behind the gate."""
    import gradio
    from fastapi import FastAPI

    from .gate import Gate

    app = gradio.mount_gradio_app(
        FastAPI(openapi_url=None),
        blocks,
        path="/",
        footer_links=[],
        max_file_size=max_upload,
        show_error=False,
        ssr_mode=False,
        enable_monitoring=False,
        mcp_server=False,
        theme=gradio.themes.Base(font=("system-ui", "sans-serif"), font_mono=("monospace",)),  # none is fetched
    )
    return Gate(app, folder=folder, host=host, max_upload=max_upload)


@contextmanager
def served(app: Any, taken: socket.socket) -> Iterator[threading.Thread]:
    """Answer requests in another thread."""
    import uvicorn

    server = uvicorn.Server(
        uvicorn.Config(
            app,
            log_level="error",
            access_log=False,
            proxy_headers=False,
            server_header=False,
            ws="none",
            limit_concurrency=MOST_CONNECTIONS,
            timeout_graceful_shutdown=1,
        )
    )
    thread = threading.Thread(target=server.run, kwargs={"sockets": [taken]}, daemon=True)
    thread.start()
    try:
        since = time.monotonic()
        while not server.started:
            if not thread.is_alive() or time.monotonic() - since > START:
                raise CommandError("the page did not start; what went wrong is told above")
            time.sleep(0.01)
        yield thread
    finally:
        # what browsers still wait for is cut off, which the server would tell of each with a traceback
        logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)
        server.should_exit = True
        thread.join(10)


@contextmanager
def swept(folder: Path) -> Iterator[None]:
    """Remove old uploads while the block runs."""
    from .uploads import remove_older

    ended = threading.Event()

    def sweep() -> None:
        while not ended.wait(SWEEP):
            remove_older(folder)

    threading.Thread(target=sweep, daemon=True).start()
    try:
        yield
    finally:
        ended.set()


def url_of(host: str, port: int) -> str:
    """The address of the page on this machine."""
    name = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, host)
    return f"http://{f'[{name}]' if ':' in name and name[0] != '[' else name}:{port}/"

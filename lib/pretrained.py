"""Where ImageNet weights of an encoder come from: timm's cache, the network through timm, or an installed package.

Nothing here downloads. Without a network the answer comes at once: timm's own downloader tries again for most of a
minute before it gives up. timm is imported where it is asked, see `backbones`.
"""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import getproxies

import torch

from .errors import ModelError

__all__ = ["cached_weights", "refuse_without_network", "ways_out", "weight_file"]

PACKAGE = "pip:"  # what a source begins with that is an installed package
SUFFIXES = (".pth", ".pt", ".bin", ".safetensors")
HUB_FILES = ("model.safetensors", "pytorch_model.bin")  # in the order in which timm prefers them
PATIENCE = 1.5  # seconds that a host has to answer
OFF = ("", "0", "false", "no", "off")


def weight_file(source: str) -> str:
    """The weight file that a source names: `pip:PACKAGE` is the one in an installed package, all else is a path.

    Raises:
        ModelError: the package is not installed, or holds no weight file or several.
    """
    if not source.startswith(PACKAGE):
        return source
    package = source.removeprefix(PACKAGE)
    try:
        if not package:  # Python 3.10 would take any
            raise ValueError
        files = metadata.distribution(package).files or []
    except (metadata.PackageNotFoundError, ValueError):
        raise ModelError(
            f"{source} was given, but no package {package!r} is installed; "
            f"run: pip install --no-deps {package or 'PACKAGE'}"
        ) from None
    found = [file for file in files if file.suffix in SUFFIXES]
    if len(found) != 1:
        held = ", ".join(map(str, found)) or "none"
        raise ModelError(
            f"{source} was given; expected a package with one weight file ({', '.join(SUFFIXES)}), "
            f"and it holds {held}: give the path of a file"
        )
    return str(found[0].locate())


def cached_weights(timm_name: str) -> Path | None:
    """The file of a timm model's weights that an earlier download left on this machine, if there is one."""
    import timm

    facts = timm.get_pretrained_cfg(timm_name)
    if facts is None or facts.custom_load:
        return None
    if facts.hf_hub_id:
        folder = hub_folder() / f"models--{facts.hf_hub_id.replace('/', '--')}"
        main = folder / "refs" / "main"
        names = (facts.hf_hub_filename,) if facts.hf_hub_filename else HUB_FILES
        snapshot = folder / "snapshots" / main.read_text().strip() if main.is_file() else folder
        files = [snapshot / name for name in names]
    else:
        files = [Path(torch.hub.get_dir()) / "checkpoints" / Path(urlsplit(facts.url or "none").path).name]
    return next((file for file in files if file.is_file()), None)


def hub_folder() -> Path:
    """Where the Hugging Face hub keeps what was downloaded, by its own environment variables."""
    for name in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"):
        if os.environ.get(name):
            return Path(os.environ[name]).expanduser()
    caches = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache")
    return Path(os.environ.get("HF_HOME") or caches / "huggingface").expanduser() / "hub"


def refuse_without_network(timm_name: str) -> None:
    """Make sure that the host of a timm model's weights answers, or the proxy that leads to it.

    Raises:
        ModelError: it does not within `PATIENCE`, or the hub was told to stay offline; the message says the ways out.
    """
    import timm

    facts = timm.get_pretrained_cfg(timm_name)
    if facts is None or not (facts.hf_hub_id or facts.url):
        return  # timm says what is wrong with it
    if facts.hf_hub_id and is_offline(os.environ):
        raise ModelError(ways_out(timm_name, "HF_HUB_OFFLINE is set, and none are in its cache"))
    endpoint = os.environ.get("HF_ENDPOINT") or "https://huggingface.co"
    target = urlsplit(getproxies().get("https") or (endpoint if facts.hf_hub_id else facts.url))
    port = target.port or (80 if target.scheme == "http" else 443)
    if not answers(target.hostname or "", port):
        raise ModelError(ways_out(timm_name, f"no network: {target.hostname} does not answer"))


def is_offline(environment: Mapping[str, str]) -> bool:
    return environment.get("HF_HUB_OFFLINE", "").lower() not in OFF


def answers(host: str, port: int) -> bool:
    """Whether a host takes a connection within `PATIENCE`; in a thread, since looking a name up may take long."""
    found = []

    def connect() -> None:
        try:
            socket.create_connection((host, port), timeout=PATIENCE).close()
            found.append(host)
        except OSError:
            pass

    thread = threading.Thread(target=connect, daemon=True)
    thread.start()
    thread.join(PATIENCE)
    return bool(found)


def ways_out(timm_name: str, reason: str) -> str:
    """The message for weights that cannot be had."""
    return (
        f"the ImageNet weights of {timm_name} cannot be had through timm ({reason}): "
        "1. connect to the network and run again, 2. download the file elsewhere and give it as "
        "--net_pretrained_backbone_path FILE, or 3. train from scratch with --net_pretrained_backbone_path none"
    )

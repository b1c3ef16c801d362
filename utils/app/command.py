"""Serve a page on this machine: drop an image or a clip, or take a camera's picture, and see what the network sees.

  python -m utils app
  python -m utils app --weights best.pth --port 8080

It needs Gradio (pip install gradio) and no network: no telemetry, no fonts or scripts from elsewhere. By default only
this machine can open it. Nothing is kept: what is uploaded lies in a temporary folder for ten minutes, and the folder
goes when the command ends, or, where it was killed, when the page is started again.
"""

from __future__ import annotations

import ipaddress
import sys
from argparse import Namespace
from collections.abc import Sequence
from importlib.util import find_spec

from measure.io import CommandParser, InputError, nonempty, number

from ..prediction import RUNTIMES
from ..runtime import MachineOptions, run

__all__ = ["main"]

LARGEST_UPLOAD = 1024  # megabytes, that may be asked for


def main(argv: Sequence[str] | None = None) -> int:
    """Run the verb; returns the exit status."""
    return run(lambda: serve(parse_args(argv)), interrupted="the page is closed")


def parse_args(argv: Sequence[str] | None) -> Namespace:
    parser = CommandParser(prog="python -m utils app", description=__doc__)
    parser.add_argument("--weights", nargs="+", type=nonempty, help="weights, averaged (default: the starter weights)")
    parser.add_argument("--host", type=nonempty, default="127.0.0.1", help="address to listen on; 0.0.0.0: any")
    parser.add_argument("--port", type=number(int, low=1, high=65535), default=7860, metavar="N", help="port")
    parser.add_argument(
        "--device", choices=("auto", "cpu", "cuda"), default="auto", help="auto: CUDA where there is one"
    )
    parser.add_argument("--runtime", choices=RUNTIMES, default="auto", help="what runs the network on a CPU")
    parser.add_argument("--amp", choices=("off", "bf16"), default="off", help="precision that OpenVINO may compute in")
    parser.add_argument(
        "--max_upload",
        type=number(float, low=0, high=LARGEST_UPLOAD, low_open=True),
        default=64,
        metavar="MB",
        help="megabytes of a file that is taken",
    )
    parser.add_argument(
        "--max_seconds",
        type=number(float, low=0, high=3600, low_open=True),
        default=60,
        metavar="S",
        help="length of a clip that is taken",
    )
    args = parser.parse_args(argv)
    MachineOptions.from_flags(vars(args))
    return args


def serve(args: Namespace) -> None:
    """Serve the page until Ctrl-C.

    Raises:
        InputError: Gradio is not installed, or the port is taken.
        ModelError: weights that cannot be used.
    """
    if find_spec("gradio") is None:
        raise InputError("the page needs Gradio, which is not installed here; pip install gradio")
    from .serving import bind, open_page

    with bind(args.host, args.port) as taken:  # a port that is taken is told before the weights are read
        from ..prediction import Predictor

        weights = args.weights[0] if args.weights and len(args.weights) == 1 else args.weights
        predictor = Predictor.from_checkpoint(weights, device=args.device, runtime=args.runtime, amp=args.amp)
        limits = {"max_upload": args.max_upload, "max_seconds": args.max_seconds}
        with open_page(predictor, taken, host=args.host, **limits) as page:
            print(f"the page is at {page.local_url} until Ctrl-C; {args.max_upload:g} MB a file at most", flush=True)
            if not is_loopback(args.host):
                print(
                    "note: other machines can open it; whoever does may use it, there is no password", file=sys.stderr
                )
            page.wait()


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches an address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"

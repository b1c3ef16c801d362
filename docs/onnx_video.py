"""Draw what an exported network sees into a video, without PyTorch and without this project's code.

python -m utils export --weights checkpoint/sepnet-starter.pth --out frames.onnx --processing
python docs/onnx_video.py frames.onnx clip.mp4 out.avi

The file stands alone, to be copied elsewhere, and needs numpy, opencv-python and onnxruntime.
"""

import sys
from pathlib import Path

import cv2
import numpy as np
import onnxruntime


def main(network: str, source: str, out: str) -> None:
    session = open_network(network)
    if [given.name for given in session.get_inputs()] != ["frames"]:
        sys.exit(f"{network} does not take frames as they are; export it with --processing")
    video, writer = cv2.VideoCapture(source), None
    rate = video.get(cv2.CAP_PROP_FPS) or 25
    while True:
        decoded, frame = video.read()  # (H, W, 3) uint8, BGR
        if not decoded:
            break
        frames = np.ascontiguousarray(frame[None, :, :, ::-1])  # the network takes RGB, any number of frames
        (probability,) = session.run(None, {"frames": frames})[0]  # (H, W) float32
        outlines, _ = cv2.findContours((probability >= 0.5).astype(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
        cv2.drawContours(frame, outlines, -1, (0, 210, 255), 2)
        writer = writer or cv2.VideoWriter(out, cv2.VideoWriter_fourcc(*"MJPG"), rate, frame.shape[1::-1])
        if not writer.isOpened():
            sys.exit(f"{out} cannot be written; name an .avi in a folder that is there")
        writer.write(frame)
    if writer is None:
        sys.exit(f"{source} holds no frame that can be decoded")
    writer.release()


def open_network(file: str) -> onnxruntime.InferenceSession:
    """ONNX Runtime's session of a file; ends with a sentence where the file is none that it can use."""
    if not Path(file).is_file():
        sys.exit(f"{file} is no file; write it with python -m utils export")
    try:
        return onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    except Exception:  # kinds of its own
        sys.exit(f"{file} is damaged or no ONNX file; export it again")


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    main(*sys.argv[1:])

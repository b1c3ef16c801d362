"""Draw what an exported network sees into a video, without PyTorch and without this project's code.

python -m utils export --weights checkpoint/sepnet-starter.pth --out frames.onnx --processing
python docs/onnx_video.py frames.onnx clip.mp4 out.avi

Needs numpy, opencv-python and onnxruntime.
"""

import sys

import cv2
import numpy as np
import onnxruntime


def main(network: str, source: str, out: str) -> None:
    session = onnxruntime.InferenceSession(network, providers=["CPUExecutionProvider"])
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
        writer.write(frame)
    if writer is None:
        sys.exit(f"{source} holds no frame that can be decoded")
    writer.release()


if __name__ == "__main__":
    main(*sys.argv[1:4])

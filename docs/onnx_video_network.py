"""Draw what an exported video network sees into a video, without PyTorch and without this project's code.

python -m utils export --weights checkpoint/sali/best.pth --out sali.onnx
python docs/onnx_video_network.py sali.encode.onnx sali.step.onnx clip.mp4 out.avi

The network looks at a frame and at the one after it, so it answers one frame late. What it remembers of the video are
three arrays that every step takes and gives back. The file stands alone, to be copied elsewhere, and needs numpy,
opencv-python, pillow and onnxruntime.
"""

import json
import sys
from pathlib import Path

import cv2
import numpy as np
import onnxruntime
from PIL import Image

MEAN, DEVIATION = np.float32((0.485, 0.456, 0.406)), np.float32((0.229, 0.224, 0.225))  # of red, green and blue


def main(encode_file: str, step_file: str, source: str, out: str) -> None:
    encode, step = open_network(encode_file), open_network(step_file)
    facts = facts_of(encode)
    if [facts, facts_of(step)] != [facts | {"part": "encode"}, facts | {"part": "step"}]:
        sys.exit(f"{encode_file} and {step_file} are not the encode and the step of one network; export both together")
    names = [given.name for given in step.get_inputs()]
    memory = [np.zeros((0, given.shape[1]), np.float32) for given in step.get_inputs() if "memory" in given.name]
    video, writer, answered = cv2.VideoCapture(source), None, 0
    rate = video.get(cv2.CAP_PROP_FPS) or 25
    frame = features = features_before = None  # the frame to be answered next, its features, those of the one before
    while True:
        decoded, following = video.read()  # (H, W, 3) uint8, BGR
        features_after = encode.run(None, {"frame": network_input(following, facts["size"])}) if decoded else None
        if frame is not None:
            neighbor = features_after or features_before or features  # a last frame looks back, an only one at itself
            remember = np.array(answered % facts["write_every"] == 0)
            given = [*features, *neighbor, *memory, remember]
            logits, *memory = step.run(None, dict(zip(names, given, strict=True)))
            logits = cv2.resize(logits[0, 0], frame.shape[1::-1])  # (H, W); 0 stands for a probability of 1/2
            outlines, _ = cv2.findContours((logits >= 0).astype(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
            cv2.drawContours(frame, outlines, -1, (0, 210, 255), 2)
            writer = writer or cv2.VideoWriter(out, cv2.VideoWriter_fourcc(*"MJPG"), rate, frame.shape[1::-1])
            if not writer.isOpened():
                sys.exit(f"{out} cannot be written; name an .avi in a folder that is there")
            writer.write(frame)
            answered += 1
        if not decoded:
            break
        frame, features, features_before = following, features_after, features
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


def facts_of(network: onnxruntime.InferenceSession) -> dict:
    """What the export wrote into the file: the part that it is of, the size, the hash of the weights."""
    return json.loads(network.get_modelmeta().custom_metadata_map.get("polyp_segmentation", "{}"))


def network_input(frame: np.ndarray, size: int) -> np.ndarray:
    """(H, W, 3) uint8 BGR -> (1, 3, size, size) float32. Pillow shrinks as in training, OpenCV cost .11 of Dice.

    Of a hundred pixels one is a grey level off from myTest.py's, which a trained SALI answers by .002 on average and by
    .13 at single pixels; of the same pixels PyTorch and these files make maps within two grey levels.
    """
    image = Image.fromarray(cv2.cvtColor(frame, cv2.COLOR_BGR2RGB)).resize((size, size), Image.Resampling.BILINEAR)
    normalized = (np.asarray(image, np.float32) / 255 - MEAN) / DEVIATION
    return np.ascontiguousarray(normalized.transpose(2, 0, 1)[None])


if __name__ == "__main__":
    if len(sys.argv) != 5:
        sys.exit(__doc__)
    main(*sys.argv[1:])

"""The weights that come with the project: whole, small, described by their card, and used where none are named."""

import hashlib
from pathlib import Path

import numpy as np

import myTest
from utils.phantom import phantom_still, write_stills
from utils.prediction import Predictor
from utils.prediction.network import STARTER_WEIGHTS


def test_the_card_is_of_this_file_and_the_file_is_small():
    card = (STARTER_WEIGHTS.parent / "README.md").read_text(encoding="utf-8")
    content = STARTER_WEIGHTS.read_bytes()
    assert hashlib.sha256(content).hexdigest() in card
    assert len(content) < 16e6


def test_a_picture_needs_no_weights(capsys):
    predictor = Predictor.from_checkpoint(device="cpu")
    assert "the project's starter weights are used" in capsys.readouterr().err
    assert (predictor.model.name, predictor.size) == ("sepnet", 352)
    image, mask = phantom_still(seed=7, size=(288, 352))
    probability = predictor.probability(image)
    assert probability.shape == mask.shape and probability.dtype == np.float32
    inside, outside = probability[mask > 128].mean(), probability[mask <= 128].mean()
    assert inside > outside, "it learned from real polyps, and sees more of one in a drawn one than beside it"


def test_maps_need_no_weights(tmp_path, capsys):
    write_stills(tmp_path / "set", count=1, seed=0, size=(64, 80))
    flags = ["--test_data_path", tmp_path / "set", "--pred_save_path", tmp_path / "maps", "--device", "cpu"]
    assert myTest.main([str(flag) for flag in [*flags, "--workers", "0"]]) == 0
    assert "starter weights" in capsys.readouterr().err
    assert len(list(Path(tmp_path / "maps" / "set").glob("*.png"))) == 1

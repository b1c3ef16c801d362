"""Several classes from masks to maps: samples, a training run, its log, its maps and their scores."""

import csv
import json

import cv2
import numpy as np
import pytest
import torch

import myTest
import myTrain
from lib import create_model
from measure.commands.score import main as measure
from measure.io.class_masks import MERGED, parse_classes
from tests.helpers.runs import TINY_SEPNET, state
from tests.helpers.two_classes import CLASSES, INDEX_TEXTS, TEXTS, write_two_classes
from utils.data.augmentation.pipeline import AUGMENTATIONS
from utils.data.image_dataset import EvaluationData, TrainingData
from utils.data.pairs import find_pairs
from utils.evaluation.classes import ClassValidation
from utils.evaluation.soft_scores import as_numbers

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    root = tmp_path_factory.mktemp("classes")
    write_two_classes(root / "TrainDataset", count=10)
    write_two_classes(root / "TestDataset" / "Set", count=4, seed=1, size=(70, 90))
    return root


@pytest.fixture(scope="module")
def apart(tmp_path_factory):
    """The same image six times: with a mask of five classes by index, and with the binary mask of each class."""
    root = tmp_path_factory.mktemp("apart")
    rng = np.random.default_rng(0)
    image = cv2.GaussianBlur(rng.integers(256, size=(50, 60, 3), dtype=np.uint8), (9, 9), 2)
    labels = (cv2.resize(rng.random((4, 5)), (60, 50)) * 6).astype(np.uint8)
    for name, mask in {"all": labels, **{f"{k}": 255 * (labels == k) for k in range(1, 6)}}.items():
        (root / name / "images").mkdir(parents=True), (root / name / "masks").mkdir()
        cv2.imwrite(str(root / name / "images" / "1.png"), image)
        cv2.imwrite(str(root / name / "masks" / "1.png"), mask)
    return root


@pytest.mark.parametrize("name", sorted(set(AUGMENTATIONS) - {"mask_noise"}))
def test_every_augmentation_moves_all_planes_alike(apart, name):
    """Five planes give what each gives by itself."""
    part = AUGMENTATIONS[name](p=1.0) if "p" in AUGMENTATIONS[name].__dataclass_fields__ else AUGMENTATIONS[name]()
    settings = {"size": 32, "seed": 0, "augmentation": [part]}
    classes = parse_classes([f"class{k}={k}" for k in range(1, 6)])
    together = TrainingData(find_pairs(apart / "all"), **settings, classes=classes)[(1, 0)]
    assert together["mask"].shape == (5, 32, 32)
    for k in range(5):
        alone = TrainingData(find_pairs(apart / f"{k + 1}"), **settings)[(1, 0)]
        assert torch.equal(together["image"], alone["image"])
        assert (together["mask"][k].int() - alone["mask"][0].int()).abs().max() <= 1
        assert alone["mask"].any()


def test_samples_hold_a_plane_a_class(data):
    pairs = find_pairs(data / "TrainDataset")
    training = TrainingData(pairs, size=32, seed=0, augmentation=[], classes=CLASSES)
    whole = EvaluationData(pairs, size=32, classes=CLASSES)
    for index in (0, 1):
        planes = whole[index]["mask"]
        assert planes.shape == (2, 64, 80) and planes.unique().tolist() == [0, 255]
        assert planes[index].any() and not planes[1 - index].any()
        sample = training[(1, index)]["mask"]
        assert sample.shape == (2, 32, 32) and sample.dtype == torch.uint8
        assert sample[index].any() and not sample[1 - index].any()


@pytest.fixture(scope="module")
def run(data, tmp_path_factory):
    """A run of one epoch on two classes."""
    folder = tmp_path_factory.mktemp("run")
    assert train(data, folder, "--classes", *TEXTS, "--epoch", "1") == 0
    return folder


def train(data, folder, *flags):
    return myTrain.main(
        [
            *("--train_data_path", str(data / "TrainDataset"), "--train_model_save_path", str(folder)),
            *(*TINY_SEPNET, "--train_size", "64"),
            *("--batch_size", "4", "--lr", "1e-3", "--lr_warmup_epoch", "0", "--device", "cpu", "--workers", "0"),
            *("--train_model_save_epoch", "1", *flags),
        ]
    )


def test_a_run_logs_scores_by_class_and_keeps_the_classes(run):
    row = list(csv.DictReader((run / "log.csv").open()))[-1]
    for key in ("Dice", "IoU", "MAE"):
        by_class = [float(row[f"{key}[{name}]"]) for name in CLASSES.names]
        assert float(row[key]) == pytest.approx(sum(by_class) / 2)
        assert f"{key}[{MERGED}]" in row
    assert float(row["score"]) == pytest.approx(float(row["Dice"]) + float(row["IoU"]) - float(row["MAE"]))
    config = state(run)["config"]
    assert config["flags"]["classes"] == TEXTS and config["model"]["options"]["classes"] == 2


def test_a_resumed_run_keeps_its_classes(data, run, tmp_path, capsys):
    flags = ["--load_checkpoint_path", str(run / "last.pth"), "--train_model_save_path", str(tmp_path)]
    assert myTrain.main([*flags, "--epoch", "2"]) == 0
    assert state(tmp_path)["config"]["flags"]["classes"] == TEXTS and state(tmp_path)["epoch"] == 2
    other = ["neoplastic=255,0,0", "non-neoplastic=0,255,0", "third=0,0,255"]
    assert myTrain.main([*flags, "--epoch", "2", "--classes", *other]) == 2
    assert "was trained with neoplastic=255,0,0 non-neoplastic=0,255,0; drop the flag" in capsys.readouterr().err


def test_maps_of_every_class_are_written_and_scored(data, run, tmp_path):
    maps, scores = tmp_path / "maps", tmp_path / "scores"
    flags = ["--model_state_dict_path", str(run / "best.pth"), "--test_data_path", str(data / "TestDataset")]
    flags += ["--device", "cpu", "--workers", "0"]
    assert myTest.main([*flags, "--pred_save_path", str(maps)]) == 0
    assert {path.name for path in maps.iterdir()} == {*CLASSES.names, MERGED, "labels", "predict.json"}
    description = json.loads((maps / "predict.json").read_text())
    assert description["options"]["classes"]["names"] == list(CLASSES.names)
    assert description["options"]["minmax"] is False
    for number in range(1, 5):
        stem = f"Set/phantom_{number:04d}.png"
        each = np.stack([cv2.imread(str(maps / name / stem), cv2.IMREAD_UNCHANGED) for name in CLASSES.names])
        merged = cv2.imread(str(maps / MERGED / stem), cv2.IMREAD_UNCHANGED)
        assert merged.shape == (70, 90) and np.array_equal(merged, each.max(axis=0))
        labels = cv2.imread(str(maps / "labels" / stem))[..., ::-1]
        assert np.array_equal(labels.any(axis=2), merged >= 128)
        sure = (merged >= 128) & (each[0] != each[1])
        assert np.array_equal(labels[sure], np.array(CLASSES.values)[each.argmax(axis=0)[sure]])
    assert measure(["--GT_root", str(data / "TestDataset"), "--pred_root", str(maps), "--out", str(scores),
                    "--classes", *TEXTS, "--no-plots"]) == 0  # fmt: skip
    assert list(json.loads((scores / "scores.json").read_text())["datasets"]) == [
        *(f"{name}/Set" for name in (*CLASSES.names, MERGED))
    ]


def test_a_network_of_classes_draws_heat_and_video_of_any_polyp(data, run, tmp_path):
    flags = ["--model_state_dict_path", str(run / "best.pth"), "--device", "cpu", "--workers", "0"]
    sets = ["--test_data_path", str(data / "TestDataset"), "--pred_save_path", str(tmp_path / "maps"), "--heatmap"]
    assert myTest.main([*flags, *sets]) == 0
    assert len(list((tmp_path / "maps" / "heatmap" / "Set").glob("*.png"))) == 8
    frames = ["--input", str(data / "TestDataset" / "Set" / "images"), "--masks", str(tmp_path / "masks")]
    assert myTest.main([*flags, *frames]) == 0
    mask = cv2.imread(str(next((tmp_path / "masks").glob("*1.png"))), cv2.IMREAD_UNCHANGED)
    merged = cv2.imread(str(tmp_path / "maps" / MERGED / "Set" / "phantom_0001.png"), cv2.IMREAD_UNCHANGED)
    assert (mask != np.where(merged >= 128, 255, 0)).mean() < 0.01


def test_scores_by_class_by_hand():
    """Two images, one class each: Dice of a class is of the pixels of both."""
    validation = ClassValidation.__new__(ClassValidation)
    validation.classes = CLASSES
    logits = torch.tensor([[[9.0, -9.0]], [[-9.0, -9.0]]]) * 10  # (2, 1, 2): certain of the first class, left
    masks = [torch.tensor([[[1, 1]], [[0, 0]]]) > 0, torch.tensor([[[0, 0]], [[0, 1]]]) > 0]
    rows = [as_numbers(validation.row(logits, mask)) for mask in masks]
    scores = validation.summary(rows)
    assert scores["Dice[neoplastic]"] == pytest.approx((2 * 1 + 1) / (2 + 2 + 1))
    assert scores["Dice[non-neoplastic]"] == pytest.approx(1 / (0 + 1 + 1))
    assert scores["Dice[merged]"] == pytest.approx((2 * 1 + 1) / (2 + 3 + 1))
    assert scores["MAE[neoplastic]"] == pytest.approx(2 / 4) and scores["MAE[non-neoplastic]"] == pytest.approx(1 / 4)
    assert scores["IoU"] == pytest.approx(((1 + 1) / (4 - 1 + 1) + 1 / 2) / 2)


def test_the_picture_shows_classes_in_colours(data):
    """A network that is sure of the first class everywhere: red maps beside masks in their colours."""
    whole = EvaluationData(find_pairs(data / "TrainDataset"), size=64, classes=CLASSES)
    validation = ClassValidation(whole, classes=CLASSES, batch_size=2, workers=0, device=torch.device("cpu"))
    mask, shown = validation.shown(torch.tensor([9.0, 0.0])[:, None, None].expand(2, 4, 4), whole[1]["mask"])
    assert np.unique(shown.reshape(-1, 3), axis=0).tolist() == [[255, 0, 0]]
    assert np.unique(mask.reshape(-1, 3), axis=0).tolist() == [[0, 0, 0], [0, 255, 0]]
    model = create_model("sepnet", backbone="pvt-v2-b0", classes=2)
    assert validation.picture(model, torch.autocast("cpu", enabled=False)).shape[2] == 3


def test_indices_train_too(data, tmp_path):
    write_two_classes(tmp_path / "data" / "TrainDataset", count=6, by_index=True)
    assert train(tmp_path / "data", tmp_path / "run", "--classes", *INDEX_TEXTS, "--epoch", "1") == 0
    planes = parse_classes(INDEX_TEXTS).read_planes(tmp_path / "data" / "TrainDataset" / "masks" / "phantom_0001.png")
    assert planes[..., 0].any() and not planes[..., 1].any()


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (["--classes", "a=1"], "give two classes or more"),
        (["--classes", "a=0,0,255", "b=255,0,0"], "color 0,255,0 is neither a=0,0,255 b=255,0,0 nor background"),
        (["--classes", *TEXTS, "--model", "sali", "--train_size", "256"], "--classes was given with sali, a video"),
    ],
)
def test_mistakes_end_in_one_sentence_before_training(data, tmp_path, capsys, flags, sentence):
    assert train(data, tmp_path / "run", *flags) == 2
    assert sentence in capsys.readouterr().err.splitlines()[-1]
    assert not (tmp_path / "run").exists()

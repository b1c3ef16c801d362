"""What cannot be recorded is refused before any work; test_cuda.py looks at recorded steps."""

import pytest

import myTrain

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--amp", "fp16"], "--cuda_graphs was given with --amp fp16"),
        (["--compile", "--optimizer", "SGD"], "--cuda_graphs was given with --compile and --optimizer SGD"),
        (["--device", "cpu"], "--cuda_graphs was given for the device cpu; it needs one process on a CUDA device"),
    ],
)
def test_steps_that_cannot_be_recorded_are_refused(stills, tmp_path, capsys, flags, message):
    words = ["--train_data_path", str(stills(count=10, seed=0, size=(64, 80))), "--cuda_graphs"]
    words += ["--train_model_save_path", str(tmp_path / "run"), "--net_pretrained_backbone_path", "none"]
    assert myTrain.main([*words, *flags]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "run").exists()

"""Training and prediction on CUDA against the CPU: every network, every precision, resume, and no hidden waiting."""

import copy

import pytest
import torch
import torch.nn.functional as F
from torch.utils._python_dispatch import TorchDispatchMode

import myTrain
from lib import create_model, list_models
from tests.helpers.runs import assert_equal, interrupt_after, state
from utils.data import normalize
from utils.prediction.averaging import AveragedNetwork
from utils.prediction.streaming import stream, stream_clips
from utils.runtime import autocast, record_calls
from utils.training import TrainConfig, TrainStep
from utils.training.losses import DeepSupervision, structure_loss

pytestmark = pytest.mark.slow

CUDA = torch.device("cuda")
PRECISIONS = {"off": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
# relative size of the difference of logits, and of gradients; float32 without TF32
BOUNDS = {"off": (5e-3, 5e-2), "bf16": (0.1, 0.6), "fp16": (2e-2, 0.3)}


def network(name):
    torch.manual_seed(0)
    options = {"scrnet": {}, "convsegnet": {}, "dilatedsegnet": {}}.get(name, {"backbone": "pvt-v2-b0"})
    model = create_model(name, **options)
    for module in model.modules():
        if type(module).__name__ in ("DropPath", "Dropout", "Dropout2d"):
            module.p = module.drop_prob = 0.0
    return model


def inputs_of(name, side, device):
    generator = torch.Generator().manual_seed(1)
    image = torch.randn(2, 3, side, side, generator=generator)
    mask = (F.avg_pool2d(torch.rand(2, 1, side, side, generator=generator), 31, 1, 15) > 0.5).float()
    given = {"image": image}
    if name in list_models("video"):
        given = {"current": image, "neighbour": image.flip(0), "memory_frame": image.roll(5, -1), "memory_mask": mask}
    return {key: value.to(device) for key, value in given.items()}, mask.to(device)


def gap(ours, theirs):
    ours, theirs = ours.detach().float().cpu(), theirs.detach().float().cpu()
    return ((ours - theirs).norm() / theirs.norm().clamp(min=1e-6)).item()


@pytest.mark.gpu
@pytest.mark.parametrize("amp", ["off", "bf16", "fp16"])
@pytest.mark.parametrize("name", list_models())
def test_forward_and_backward_agree_with_the_cpu(name, amp):
    side = 256 if name in list_models("video") else 96
    found = {}
    for device, precision in (("cpu", torch.float32), ("cuda", PRECISIONS[amp])):
        model = network(name).to(device).train()
        inputs, mask = inputs_of(name, side, device)
        with torch.backends.cudnn.flags(allow_tf32=False):
            with torch.autocast(device, precision, enabled=precision != torch.float32):
                outputs = model(**inputs)
            total, _ = DeepSupervision(structure_loss, dict.fromkeys(outputs, 1.0))(outputs, mask)
            total.backward()
        gradients = torch.cat([p.grad.flatten().float().cpu() for p in model.parameters() if p.grad is not None])
        found[device] = outputs, total, gradients
    (cpu_outputs, cpu_total, cpu_gradients), (outputs, total, gradients) = found["cpu"], found["cuda"]
    assert gradients.isfinite().all()
    of_logits, of_gradients = BOUNDS[amp]
    assert max(gap(outputs[key], cpu_outputs[key]) for key in outputs) < of_logits
    assert total.item() == pytest.approx(cpu_total.item(), rel=of_logits)
    assert gap(gradients, cpu_gradients) < of_gradients


@pytest.mark.gpu
@pytest.mark.parametrize("ema", [0.0, 0.9])
@pytest.mark.parametrize("amp", ["off", "bf16", "fp16"])
def test_a_step_never_makes_the_host_wait(amp, ema):
    model = network("sepnet").train()
    loss = DeepSupervision(structure_loss, dict.fromkeys(model.output_names, 1.0))
    step = TrainStep(model, loss, config=TrainConfig(amp=amp, ema=ema, batch_size=2), device=CUDA)
    images = torch.randint(0, 256, (2, 3, 96, 96), dtype=torch.uint8).pin_memory()
    mask = torch.ones(2, 1, 96, 96, device=CUDA)

    def once():
        step.set_learning_rate(1e-4)
        step({"image": normalize(images.to(CUDA, non_blocking=True))}, mask, images=2)

    once(), once()
    torch.cuda.set_sync_debug_mode("error")
    try:
        once(), once()
    finally:
        torch.cuda.set_sync_debug_mode("default")


@pytest.fixture(scope="module")
def data(stills):
    return stills(count=10, seed=0, size=(64, 80))


def train(data, folder, *flags):
    small = "--net_backbone pvt-v2-b0 --net_pretrained_backbone_path none --train_size 64 --batch_size 3 --lr 1e-3"
    words = ["--train_data_path", str(data), "--train_model_save_path", str(folder), *small.split()]
    return myTrain.main([*words, "--lr_warmup_epoch", "0", "--device", "cuda", *flags])


@pytest.mark.gpu
def test_a_resumed_run_has_the_same_bits(data, tmp_path, monkeypatch):
    flags = ["--epoch", "2", "--ema", "0.9", "--deterministic"]
    assert train(data, tmp_path / "straight", *flags) == 0
    with monkeypatch.context() as patch:
        interrupt_after(patch, 4)
        assert train(data, tmp_path / "broken", *flags) == 130
    assert train(data, tmp_path / "broken", *flags, "--resume", "auto") == 0
    first, second = state(tmp_path / "straight"), state(tmp_path / "broken")
    for entry in ("model_state_dict", "ema_state_dict", "optimizer_state_dict", "losses", "scores"):
        assert_equal(first[entry], second[entry], entry)


@pytest.mark.gpu
@pytest.mark.parametrize("ema", [0.0, 0.9])
@pytest.mark.parametrize("amp", ["off", "bf16"])
def test_recorded_steps_do_what_plain_ones_do(amp, ema):
    found = []
    for recording in (False, True):
        model = network("sepnet").train()
        loss = DeepSupervision(structure_loss, dict.fromkeys(model.output_names, 1.0))
        config = TrainConfig(batch_size=2, amp=amp, ema=ema, cuda_graphs=recording)
        step = TrainStep(model, loss, config=config, device=CUDA)
        inputs, mask = inputs_of("sepnet", 96, CUDA)
        for number in range(8):
            step.set_learning_rate(1e-3 / (number + 1))
            step({"image": inputs["image"].roll(number, -1)}, mask.roll(number, -1), images=2)
        assert not recording or (step.recorded.failure == "" and len(step.recorded._recordings) == 1)
        found.append((step.losses.means()["loss"], torch.cat([p.flatten() for p in step.eval_model.parameters()])))
    (plain_loss, plain), (loss, recorded) = found
    assert loss == pytest.approx(plain_loss, rel=5e-3)
    assert gap(recorded, plain) < 5e-3


class Operations(TorchDispatchMode):
    """Names of the operations that are called inside."""

    def __init__(self):
        super().__init__()
        self.names = set()

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        self.names.add(function.name())
        return function(*args, **kwargs or {})


@pytest.mark.parametrize("name", list_models())
def test_a_step_reads_no_value_and_copies_no_numbers(name):
    """Both make the host wait for a GPU, and cannot be recorded. `lift_fresh` is a tensor made of numbers."""
    model = network(name).train()
    inputs, mask = inputs_of(name, 256 if name in list_models("video") else 96, "cpu")
    with Operations() as called:
        outputs = model(**inputs)
        total, _ = DeepSupervision(structure_loss, dict.fromkeys(outputs, 1.0))(outputs, mask)
        total.backward()
    assert "aten::convolution_backward" in called.names
    assert not called.names & {"aten::lift_fresh", "aten::_local_scalar_dense", "aten::nonzero"}


@pytest.mark.gpu
def test_a_recorded_run_is_gone_on_with_by_plain_steps_and_the_reverse(data, tmp_path):
    assert train(data, tmp_path, "--epoch", "3", "--cuda_graphs") == 0
    assert train(data, tmp_path, "--epoch", "4", "--resume", "auto", "--no-cuda_graphs") == 0
    assert train(data, tmp_path, "--epoch", "7", "--resume", "auto", "--cuda_graphs") == 0
    assert all(value.isfinite().all() for value in state(tmp_path)["model_state_dict"].values())


@pytest.mark.gpu
@pytest.mark.parametrize("mode", ["default"])
def test_compiled_steps_learn_as_eager_ones(mode):
    losses = []
    for compiling in (False, True):
        torch.manual_seed(0)
        model = network("scrnet").train()
        loss = DeepSupervision(structure_loss, dict.fromkeys(model.output_names, 1.0))
        config = TrainConfig(batch_size=2, compile=compiling, compile_mode=mode)
        step = TrainStep(model, loss, config=config, device=CUDA)
        step.set_learning_rate(1e-3)
        inputs, mask = inputs_of("scrnet", 64, CUDA)
        for _ in range(6):
            step(copy.copy(inputs), mask, images=2)
        assert not compiling or all(part.model._compiled_call_impl for part in step.compiled)
        losses.append(step.losses.means()["loss"])
    assert losses[1] == pytest.approx(losses[0], rel=0.02)


@pytest.mark.gpu
def test_validation_scores_are_the_cpus(data, tmp_path):
    """A run on CUDA, and its weights judged on the CPU."""
    assert train(data, tmp_path, "--epoch", "1") == 0
    scores = state(tmp_path)["scores"]
    again = ["--train_data_path", str(data), "--train_model_save_path", str(tmp_path / "cpu"), "--device", "cpu"]
    again += ["--init_weights", str(tmp_path / "last.pth"), "--net_backbone", "pvt-v2-b0", "--train_size", "64"]
    assert myTrain.main([*again, "--epoch", "1", "--lr", "0", "--batch_size", "9", "--workers", "0"]) == 0
    # batch-norm statistics move in the second run: the scores are near, not equal
    assert state(tmp_path / "cpu")["scores"][0] == pytest.approx(scores[0], abs=0.1)


@pytest.mark.gpu
@torch.inference_mode()
def test_a_stream_agrees_with_the_cpus():
    model = network("sali").eval()
    frames = list(torch.randn(6, 3, 256, 256, generator=torch.Generator().manual_seed(0)))
    expected = [logits.clone() for logits in stream(model, frames, write_every=2)]
    model.to(CUDA)
    for logits, cpu in zip(stream(model, frames, write_every=2), expected, strict=True):
        grey = 255 * (logits.float().cpu().sigmoid() - cpu.sigmoid()).abs()
        assert grey.max() <= 2


@pytest.mark.gpu
@pytest.mark.parametrize("amp", ["off", "bf16"])
@pytest.mark.parametrize("name", ["sepnet", "sali"])
@torch.inference_mode()
def test_recorded_forwards_are_the_plain_ones(name, amp):
    model = network(name).eval().to(CUDA)
    frames = list(torch.randn(9, 3, 256, 256, generator=torch.Generator().manual_seed(0)))

    def answers():
        clip = [[(None, frame) for frame in frames]]
        return [logits for _, logits in stream_clips(model, clip, slots=1, write_every=2, amp=autocast(CUDA, amp))]

    expected = answers()
    recorded = [record_calls(part) for part in model.steady_parts]
    for logits, plain in zip(answers(), expected, strict=True):
        assert (255 * (logits.sigmoid() - plain.sigmoid()).abs()).max() <= (1 if amp == "off" else 4)
    assert all(each.failure == "" and each._recordings for each in recorded)


@pytest.mark.gpu
@torch.inference_mode()
def test_recorded_views_of_one_image_are_the_plain_ones():
    """Four calls under one autocast: the fourth is recorded, when the weights' casts of the first are kept."""
    model = network("sepnet").eval().to(CUDA)
    views = AveragedNetwork([model], [96], flips=True)
    image = inputs_of("sepnet", 96, CUDA)[0]["image"]

    def answers():
        for _ in range(3):
            with autocast(CUDA, "bf16"):
                yield views(image)["out"].sigmoid()
            torch.cuda.empty_cache()
            torch.full((2**26,), torch.nan, device=CUDA)  # where freed casts were

    expected = list(answers())
    recorded = record_calls(model)
    for found, plain in zip(answers(), expected, strict=True):
        assert (255 * (found - plain).abs()).max() <= 4
    assert recorded.failure == "" and recorded._recordings


@pytest.mark.gpu
@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="needs two CUDA devices")
def test_two_devices_train_together(data, tmp_path):
    import subprocess
    import sys

    flags = f"--train_data_path {data} --train_model_save_path {tmp_path} --net_backbone pvt-v2-b0 --epoch 1"
    words = [*flags.split(), "--net_pretrained_backbone_path", "none", "--train_size", "64", "--batch_size", "4"]
    launch = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node", "2", "myTrain.py", *words]
    assert subprocess.run(launch, check=False).returncode == 0
    assert (tmp_path / "best.pth").is_file()


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--amp", "fp16"], "--cuda_graphs was given with --amp fp16"),
        (["--optimizer", "SGD"], "--cuda_graphs was given with --optimizer SGD"),
        (["--compile", "--compile_mode", "reduce-overhead"], "with --compile_mode reduce-overhead; such steps"),
        (["--device", "cpu"], "--cuda_graphs was given for the device cpu; it needs one process on a CUDA device"),
    ],
)
def test_steps_that_cannot_be_recorded_are_refused(stills, tmp_path, capsys, flags, message):
    words = ["--train_data_path", str(stills(count=10, seed=0, size=(64, 80))), "--cuda_graphs"]
    words += ["--train_model_save_path", str(tmp_path / "run"), "--net_pretrained_backbone_path", "none"]
    assert myTrain.main([*words, *flags]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "run").exists()

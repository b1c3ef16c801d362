"""SALI and LSI-Net: equal to the released network over a clip, and honest streams whatever runs beside them."""

import pytest
import torch
from torch import Tensor, nn
from torchvision.ops import deform_conv2d

from lib import ModelError, create_model, load_weights
from lib.modules.deformable_alignment import ModulatedDeformConv, deform_conv
from lib.modules.memory import Memory
from lib.sali import Encoding, upsample
from tests.helpers.golden import golden_input, load, published_state, relative_error

pytestmark = pytest.mark.slow

RELEASED_NAMES = {"out": "pred_3", "stage4": "pred_4", "stage5": "pred_5", "global": "pred_global"}
TEMPORAL = {"key", "value", "alignment", "fusion"}  # what looks at other frames
BOTH = pytest.mark.parametrize("name", ["sali", "lsinet"])


def build(name: str = "sali", *, seed: int = 0, **options) -> nn.Module:
    """A small network in evaluation in which everything that starts at zero has moved."""
    torch.manual_seed(seed)
    model = create_model(name, backbone="pvt-v2-b0", **options).eval()
    for module in (*model.fusion, *model.alignment.levels):
        started_at_zero = module.expand if hasattr(module, "expand") else module.deform.offset
        for parameter in started_at_zero.parameters():
            nn.init.normal_(parameter, std=0.1)
    return model


def frames(count: int, *, seed: int = 0, height: int = 256, width: int = 256) -> Tensor:
    return torch.randn(count, 3, height, width, generator=torch.Generator().manual_seed(seed))


def encodings(count: int, *, seed: int = 0) -> list[Encoding]:
    """Features of the smallest legal frames, without the time the encoder takes."""
    rng = torch.Generator().manual_seed(seed)
    return [Encoding(*(torch.rand(1, 32, side, side, generator=rng) for side in (32, 16, 8))) for _ in range(count)]


def batched(clips: list[Encoding]) -> Encoding:
    return Encoding(*(torch.cat(level) for level in zip(*clips, strict=True)))


@torch.no_grad()
def run(model: nn.Module, clip: list, *, every: int = 2) -> list[Tensor]:
    """`out` of every frame of a clip."""
    memory, outputs = None, []
    for t, frame in enumerate(clip):
        neighbour = clip[t + 1] if t + 1 < len(clip) else clip[max(t - 1, 0)]
        logits, memory = model.step(frame, neighbour, memory, write=t % every == 0)
        outputs.append(logits["out"])
    return outputs


@pytest.fixture(scope="module")
def released():
    """(model with the golden weights, golden clip, golden arrays)."""
    golden = load("sali_pvt_v2_b2")
    model = create_model("sali", backbone="pvt-v2-b2", memory_frames=int(golden["memory_length"])).eval()
    report = load_weights(model, published_state("sali_pvt_v2_b2"))
    assert report.ignored == []
    return model, golden_input(golden["seed"], golden["shape"]), golden


@torch.no_grad()
def test_training_forward_equals_the_released_one(released):
    model, clip, golden = released
    model.float()
    mask = (golden_input(golden["train_gt_seed"], (1, 1, 256, 256)) > 0).float()
    outputs = model.forward_clip(clip[:1], clip[2:3], clip[3:4], mask)
    assert list(outputs) == list(RELEASED_NAMES)
    for name, released_name in RELEASED_NAMES.items():
        expected = golden[f"train_{released_name}_every_8th_pixel_from_4"]
        assert relative_error(outputs[name][:, :, 4::8, 4::8], expected) < 1e-4, name


@torch.no_grad()
def test_a_clip_equals_the_released_one(released):
    """In float64: frame 5 has a near-tie among the entries it reads, and float32 in the recording decided it."""
    model, clip, golden = released
    model.double()
    encoded = [model.encode(frame[None].double()) for frame in clip]
    memory = None
    for t, frame in enumerate(encoded):
        neighbour = encoded[t + 1] if t + 1 < len(encoded) else encoded[t - 1]
        outputs, memory = model.step(frame, neighbour, memory, write=t % int(golden["memory_frequency"]) == 0)
        assert memory.sizes == [tuple(golden["memory_sizes_after_each_frame"][t])]
        for name, released_name in RELEASED_NAMES.items():
            expected = golden[f"{released_name}_every_8th_pixel_from_4"][t : t + 1]
            actual = outputs[name][:, :, 4::8, 4::8]
            assert relative_error(actual, expected) < (5e-3 if t == 5 else 1e-4), (t, name)
            near = abs(actual.numpy() - expected) < 1e-4 * abs(expected).max()
            assert near.mean() > 0.95, (t, name)


def test_published_names_are_strict(released):
    state = published_state("sali_pvt_v2_b2")
    lsinet = create_model("lsinet", backbone="pvt-v2-b2")
    assert load_weights(lsinet, state).ignored == []
    assert load_weights(lsinet, released[0].float().state_dict()).ignored == []
    with pytest.raises(ModelError, match=r"unexpected \(1\): backbone.decoder.RS6.score"):
        load_weights(lsinet, state | {"backbone.decoder.RS6.score": torch.zeros(1)})
    del state["membranch.Key1.bias"]
    with pytest.raises(ModelError, match=r"missing \(1\): key.1.bias"):
        load_weights(lsinet, state)


@BOTH
def test_state_dict_round_trip(name):
    first, second = build(name), build(name, seed=1)
    clip = encodings(3)
    assert not torch.equal(run(first, clip)[2], run(second, clip)[2])
    load_weights(second, first.state_dict())
    assert torch.equal(run(first, clip)[2], run(second, clip)[2])


@BOTH
@torch.no_grad()
def test_interleaved_clips_equal_separate_ones(name):
    model, clips = build(name, memory_frames=2), (encodings(6), encodings(6, seed=1))
    memories, outputs = [None, None], ([], [])
    for t in range(5):
        for which, clip in enumerate(clips):
            logits, memories[which] = model.step(clip[t], clip[t + 1], memories[which], write=t % (which + 1) == 0)
            outputs[which].append(logits["out"])
    for which, clip in enumerate(clips):
        alone = run(model, clip, every=which + 1)
        assert all(torch.equal(*pair) for pair in zip(outputs[which], alone[:5], strict=True))


@torch.no_grad()
def run_batch(model: nn.Module, names: str, clips: dict[str, list[Tensor]]) -> dict[str, list[Tensor]]:
    """Stream clips side by side from images: clip "b" starts a frame late, clip "c" writes every second frame."""
    outputs, memory = {name: [] for name in names}, Memory.empty()
    for t in range(4):
        late = [max(t - 1, 0) if name == "b" else t for name in names]
        images, following = (
            torch.cat([clips[name][i + ahead] for name, i in zip(names, late, strict=True)]) for ahead in (0, 1)
        )
        if t == 1:  # what came before the start of clip b is forgotten
            banks = zip(names, memory.clips, strict=True)
            memory = Memory(tuple(() if name == "b" else clip for name, clip in banks))
        write = [i % 2 == 0 if name == "c" else True for name, i in zip(names, late, strict=True)]
        logits, memory = model.step(images, following, memory, write=write)
        for n, name in enumerate(names):
            outputs[name].append(logits["out"][n])
    return outputs


def test_a_clip_gives_the_same_bits_in_every_place_of_a_batch():
    model = build(memory_frames=2)
    clips = {name: list(frames(5, seed=seed).split(1)) for seed, name in enumerate("abcd")}
    first = run_batch(model, "abc", clips)
    for names in ("cab", "bda"):
        again = run_batch(model, names, clips)
        for name in set("abc") & set(names):
            assert all(torch.equal(*pair) for pair in zip(first[name], again[name], strict=True)), name


@torch.no_grad()
def test_frames_and_encodings_are_the_same_to_step():
    model, clip = build(), frames(3)
    from_images = run(model, list(clip.split(1)))
    from_features = run(model, [model.encode(frame) for frame in clip.split(1)])
    assert all(torch.equal(*pair) for pair in zip(from_images, from_features, strict=True))


@pytest.mark.parametrize("length", [1, 2])
def test_shortest_clips(length):
    outputs = run(build(), list(frames(length, height=288, width=256).split(1)))
    assert [tuple(logit.shape) for logit in outputs] == [(1, 1, 288, 256)] * length
    assert all(logit.isfinite().all() for logit in outputs)


@torch.no_grad()
def test_a_clip_of_another_resolution_leaves_no_trace():
    model, small, large = build(), encodings(3), list(frames(2, height=256, width=320).split(1))
    before = run(model, small)
    assert run(model, large)[1].shape == (1, 1, 256, 320)
    assert all(torch.equal(*pair) for pair in zip(before, run(model, small), strict=True))


@torch.no_grad()
def test_memory_and_neighbour_matter():
    model, (first, second, third) = build(), encodings(3)
    plain, unwritten = model.step(first, second, None, write=False)
    _, written = model.step(first, second)
    assert unwritten.sizes == [()] and written.sizes == [(1024, 256, 64)]
    without, _ = model.step(second, third, unwritten)
    assert torch.equal(without["out"], model.step(second, third)[0]["out"])
    assert not torch.equal(without["out"], model.step(second, third, written)[0]["out"])
    assert not torch.equal(plain["out"], model.step(first, third)[0]["out"])


@torch.no_grad()
def test_an_entry_is_louder_where_the_mask_is():
    """value x (1 + softmax over the positions of the predicted logits), keys of the frame itself."""
    model, (first, second) = build(), encodings(2)
    stages = []
    model.decoder.register_forward_hook(lambda module, inputs, logits: stages.extend(logits))
    _, memory = model.step(first, second)
    for level, bank in enumerate(memory.clips[0]):
        share = stages[level].flatten().softmax(dim=0)  # S3, S4, S5: levels 0, 1, 2
        value = model.value[level](first[level])[0].flatten(1).T
        assert torch.allclose(bank.values, value * (1 + share[:, None]), atol=1e-6)
        assert torch.equal(bank.keys, model.key[level](first[level])[0].flatten(1).T)
        assert bank.usage.sum() == 0


@torch.no_grad()
def test_lsinet_remembers_enhanced_features_at_the_encoders_address():
    lsinet, sali = build("lsinet"), build()
    sali.load_state_dict(lsinet.state_dict())
    clip = encodings(3)
    enhanced = []
    lsinet.fusion[0].register_forward_hook(lambda module, inputs, output: enhanced.append(output))
    first, memory = lsinet.step(clip[0], clip[1])
    published, other = sali.step(clip[0], clip[1])
    assert torch.equal(first["out"], published["out"])  # nothing remembered yet
    content = lsinet.value[0](enhanced[0])[0].flatten(1).T
    ratio = memory.clips[0][0].values / content
    assert ((ratio > 1) & (ratio <= 2)).float().mean() > 0.99  # times 1 + softmax
    assert torch.equal(memory.clips[0][0].keys, other.clips[0][0].keys)
    assert not torch.equal(
        lsinet.step(clip[1], clip[2], memory)[0]["out"], sali.step(clip[1], clip[2], other)[0]["out"]
    )


@torch.no_grad()
def test_training_forward_of_lsinet_enhances_the_memory_frame_beside_itself():
    model, clip, mask = build("lsinet"), frames(3), torch.zeros(1, 1, 256, 256)
    enhanced, valued = [], []
    model.fusion[0].register_forward_hook(lambda module, inputs, output: enhanced.append(output))
    model.value[0].register_forward_hook(lambda module, inputs, output: valued.append(inputs[0]))
    model.forward_clip(clip[:1], clip[1:2], clip[2:], mask)
    assert len(enhanced) == 2
    assert any(torch.equal(enhanced[0], value) for value in valued)
    encoded = model.encode(clip[:1])
    enhanced.clear()
    model.step(encoded, encoded, write=False)
    assert any(torch.equal(enhanced[0], value) for value in valued)


def gradients(model: nn.Module) -> list[str]:
    """Names of the parameters that one training step leaves without a gradient."""
    triplet = frames(3, seed=3)
    mask = torch.zeros(1, 1, 256, 256)
    mask[..., :128] = 1
    torch.manual_seed(4)
    outputs = model.train().forward_clip(triplet[:1], triplet[1:2], triplet[2:], mask)
    sum((logit * torch.randn_like(logit)).sum() for logit in outputs.values()).backward()
    assert all(p.grad is None or p.grad.isfinite().all() for p in model.parameters())
    return [name for name, p in model.named_parameters() if p.grad is None or not p.grad.abs().max() > 0]


def without_drop_path(model: nn.Module) -> None:
    """A block that is dropped has no gradient in that step."""
    for module in model.encoder.modules():
        if type(module).__name__ == "DropPath":
            module.drop_prob = 0.0


@BOTH
def test_a_gradient_reaches_every_parameter(name):
    model = build(name)
    without_drop_path(model)
    assert gradients(model) == []


def frame_by_frame(*, seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return create_model("sali", backbone="pvt-v2-b0", temporal=False).eval()


@torch.no_grad()
def test_without_memory_and_alignment_the_rest_segments_every_frame_alone():
    alone, whole, (first, second) = frame_by_frame(), build(), encodings(2)
    names = {name.split(".")[0] for name in alone.state_dict()}
    assert names == {"encoder", "rfb", "decoder"} == {n.split(".")[0] for n in whole.state_dict()} - TEMPORAL
    logits, memory = alone.step(second, first, None)
    assert memory.sizes == [] and memory.nbytes == 0
    again, memory = alone.step(second, second, memory, write=True)
    assert torch.equal(logits["out"], again["out"]) and memory.nbytes == 0
    assert list(logits) == list(RELEASED_NAMES)
    alone.load_state_dict({name: value for name, value in whole.state_dict().items() if name in alone.state_dict()})
    past, current, mask = *frames(2).split(1), torch.zeros(1, 1, 256, 256)
    trained_on = alone.forward_clip(past, current, past, mask)["out"]
    assert torch.equal(trained_on, alone.step(current, past)[0]["out"])
    assert torch.equal(trained_on, upsample(whole.decoder(whole.encode(current)))["out"])


def test_frame_by_frame_every_parameter_is_trained_saved_and_loaded():
    first, second = frame_by_frame(), frame_by_frame(seed=1)
    clip = encodings(2)
    assert not torch.equal(run(first, clip)[1], run(second, clip)[1])
    assert load_weights(second, first.state_dict()).ignored == []
    assert torch.equal(run(first, clip)[1], run(second, clip)[1])
    with pytest.raises(ModelError, match="missing .*: key.0.weight"):
        load_weights(build(), first.state_dict())
    without_drop_path(first)
    assert gradients(first) == []


def test_what_waits_for_the_second_step():
    """What only acts through layers that start at zero: the fusion's values, and all that steers the sampling."""
    torch.manual_seed(0)
    model = create_model("sali", backbone="pvt-v2-b0")
    without_drop_path(model)
    waiting = {name.rsplit(".", 1)[0] for name in gradients(model)}
    steering = {f"alignment.levels.{level}.{part}" for level in range(3) for part in ("compare", "guide", "refine")}
    assert waiting == {f"fusion.{level}.value" for level in range(3)} | steering - {"alignment.levels.2.refine"}


def test_deformable_convolution_starts_as_half_a_convolution():
    torch.manual_seed(0)
    conv, x, guide = ModulatedDeformConv(32), torch.randn(2, 32, 7, 9), torch.randn(2, 32, 7, 9)
    expected = nn.functional.conv2d(x / 2, conv.weight, conv.bias, padding=1)
    torch.testing.assert_close(conv(x, guide), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("size", [(7, 9), (1, 5)])
def test_deformable_convolution_and_its_gradients_are_torchvisions(size):
    """At whole pixels too, and far outside the map."""
    generator = torch.Generator().manual_seed(0)
    shapes = [(2, 8, *size), (2, 2 * 18, *size), (2, 2 * 9, *size), (6, 8, 3, 3), (6,)]
    given = [torch.randn(shape, dtype=torch.float64, generator=generator) for shape in shapes]
    given[1] *= 3
    given[1][1] = given[1][1].round()
    found = []
    for function in (
        deform_conv,
        lambda x, offsets, strength, weight, bias: deform_conv2d(x, offsets, weight, bias, padding=1, mask=strength),
    ):
        tensors = [tensor.clone().requires_grad_() for tensor in given]
        result = function(*tensors)
        result.square().sum().backward()
        found.append([result, *(tensor.grad for index, tensor in enumerate(tensors) if index != 1)])
        found[-1].append(tensors[1].grad[0])  # of the first image: between pixels, where it is defined
    for ours, theirs in zip(*found, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-9)


@torch.no_grad()
def test_offsets_are_rows_then_columns_in_pixels():
    """Every tap one row down and two columns left equals a convolution of the shifted map, away from the border."""
    conv, x = ModulatedDeformConv(32), torch.randn(1, 32, 12, 12)
    conv.offset.bias[:144] = torch.tensor([1.0, -2.0]).repeat(72)
    conv.offset.bias[144:] = 100  # full strength
    expected = nn.functional.conv2d(x.roll((-1, 2), dims=(2, 3)), conv.weight, conv.bias, padding=1)
    torch.testing.assert_close(conv(x, x)[..., 3:-3, 3:-3], expected[..., 3:-3, 3:-3], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["sali", "lsinet"])
def test_a_long_clip_stays_finite_and_bounded(name):
    model, memory = build(name, memory_frames=3, protect_newest=True), None
    few, largest = encodings(9), 0
    with torch.no_grad():
        for t in range(40):
            outputs, memory = model.step(few[t % 9], few[(t + 1) % 9], memory)
            largest = max(largest, memory.nbytes)
    assert outputs["out"].isfinite().all() and outputs["out"].std() > 0
    assert all(bank.values.abs().max() < 1e3 for bank in memory.clips[0])
    assert largest <= 4 * (1024 + 256 + 64) * 22 * 4


@torch.no_grad()
def test_mixed_precision_remembers_in_float32():
    model, (first, second) = build(), encodings(2)
    with torch.autocast("cpu", torch.bfloat16):
        outputs, memory = model.step(first, second)
        outputs, memory = model.step(second, first, memory)
    assert outputs["out"].isfinite().all()
    assert {tensor.dtype for bank in memory.clips[0] for tensor in vars(bank).values()} == {torch.float32}


def test_illegal_sizes_are_refused():
    model = build()
    with pytest.raises(ModelError, match="no side may be under 256"):
        model.encode(torch.zeros(1, 3, 224, 256))
    with pytest.raises(ModelError, match="multiples of 32"):
        model.encode(torch.zeros(1, 3, 256, 257))
    with pytest.raises(ModelError, match="give both at the same size"), torch.no_grad():
        model.step(encodings(1)[0], frames(1, height=288))
    with pytest.raises(ModelError, match="memory is of 1 clips and the batch has 2 frames"), torch.no_grad():
        two = batched(encodings(2))
        model.step(two, two, model.step(*encodings(2))[1])


def test_illegal_options_are_refused():
    with pytest.raises(ModelError, match="sali's option memory_frames is 0; expected a whole number from 1 to"):
        create_model("sali", backbone="pvt-v2-b0", memory_frames=0)
    with pytest.raises(ModelError, match="sali has no option memory_length; its options are backbone"):
        create_model("sali", memory_length=2)


def test_frozen_norms_stay_frozen():
    frozen = create_model("sali", backbone="pvt-v2-b0", freeze_norms=True)
    free = create_model("sali", backbone="pvt-v2-b0")

    def training(model: nn.Module) -> set[str]:
        norms = ((name, module) for name, module in model.named_modules() if isinstance(module, nn.BatchNorm2d))
        return {name.split(".")[0] for name, module in norms if module.training}

    assert training(frozen) == training(frozen.eval().train()) == {"fusion"}
    assert training(free) == {"rfb", "fusion", "decoder"}

"""SCR-Net against the equations of its paper, written out by hand."""

import pytest
import torch
from torch import nn

from lib import ModelError, create_model
from lib.scrnet import SCM, SRM, PyramidPooling, warp


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def parameters(**options) -> int:
    return sum(p.numel() for p in create_model("scrnet", **options).parameters())


@pytest.mark.parametrize("size", [(1, 1), (3, 7), (28, 45), (448, 448)])
def test_zero_flow_moves_nothing(size):
    x = noise(2, 3, *size)
    torch.testing.assert_close(warp(x, torch.zeros(2, 2, *size)), x, rtol=0, atol=5e-4 if size[0] > 100 else 1e-5)
    exact = warp(x.double(), torch.zeros(2, 2, *size, dtype=torch.float64))
    torch.testing.assert_close(exact, x.double(), rtol=0, atol=1e-12)


def test_flow_of_two_moves_by_one_pixel_and_the_border_counts():
    x = noise(1, 2, 5, 8)
    flow = torch.zeros(1, 2, 5, 8)
    flow[:, 0] = 2  # x
    moved = warp(x, flow)
    torch.testing.assert_close(moved[..., :-1], x[..., 1:])
    torch.testing.assert_close(moved[..., -1], x[..., -1])
    torch.testing.assert_close(warp(x, flow.flip(1))[..., :-1, :], x[..., 1:, :])  # y


def test_warp_stays_exact_in_half_precision():
    x = noise(1, 2, 6, 300).bfloat16()
    moved = warp(x, torch.zeros(1, 2, 6, 300, dtype=torch.bfloat16))
    assert moved.dtype == torch.bfloat16
    torch.testing.assert_close(moved, x, rtol=0, atol=1e-2)


@torch.no_grad()
def test_scm_with_a_flow_of_zero_is_the_upsampling_alone():
    scm = SCM(4, 6)
    x, coarser = noise(2, 4, 6, 10), noise(2, 6, 3, 5, seed=1)
    nn.init.zeros_(scm.flow.weight)
    upsampled = nn.functional.interpolate(scm.project(coarser), scale_factor=2, mode="bilinear", align_corners=False)
    torch.testing.assert_close(scm(x, coarser), upsampled, rtol=0, atol=1e-5)


@torch.no_grad()
def test_scm_reads_the_flow_from_the_upsampled_level_first():
    scm = SCM(1, 1)
    scm.project.weight.fill_(1)
    scm.project.bias.zero_()
    scm.flow.weight.zero_()
    scm.flow.weight[0, 0, 1, 1] = 2  # x flow = 2 X', so one pixel where X' is 1
    coarser = torch.ones(1, 1, 2, 2)
    assert torch.equal(scm(torch.zeros(1, 1, 4, 4), coarser), torch.ones(1, 1, 4, 4))
    scm.flow.weight.zero_()
    scm.flow.weight[0, 1, 1, 1] = 2  # x flow = 2 X
    coarser = noise(1, 1, 2, 2)
    upsampled = nn.functional.interpolate(coarser, scale_factor=2, mode="bilinear", align_corners=False)
    torch.testing.assert_close(scm(torch.ones(1, 1, 4, 4), coarser)[..., :-1], upsampled[..., 1:])


@torch.no_grad()
def test_srm_by_its_equations():
    srm = SRM(3, 5)
    x, coarser = noise(2, 3, 4, 6), noise(2, 5, 2, 3, seed=1)
    weight, bias = srm.project.weight[:, :, 0, 0], srm.project.bias
    refined = srm(x, coarser)
    for n in range(2):
        average = torch.stack([channel.mean() for channel in coarser[n]])  # equation 4
        context = torch.clamp(weight @ average + bias, min=0)  # equation 5
        for c in range(3):
            gate = 1 / (1 + torch.exp(-(x[n, c] + context[c])))  # equation 6
            torch.testing.assert_close(refined[n, c], x[n, c] * gate)  # equation 7


@torch.no_grad()
def test_pyramid_pooling_widths_and_global_bin():
    pooling = PyramidPooling(128)
    assert [tuple(conv.weight.shape) for conv in pooling.reduce] == [(32, 128, 1, 1)] * 4
    assert pooling.merge.weight.shape == (128, 256, 1, 1) and pooling.merge.bias is not None
    assert all(conv.bias is None for conv in pooling.reduce)
    # only the bin that covers the whole map is let through: the same value everywhere
    pooling.merge.weight[:, :128] = 0
    pooling.merge.weight[:, 160:] = 0
    out = pooling(noise(1, 128, 7, 5))
    assert out.shape == (1, 128, 7, 5) and out.max() > 0
    torch.testing.assert_close(out, out[..., :1, :1].expand_as(out))


@torch.no_grad()
def test_output_is_the_sum_of_the_heads_with_coarser_ones_repeated():
    torch.manual_seed(0)
    model = create_model("scrnet").eval()
    found = []
    for level in model.levels:
        level.register_forward_hook(lambda module, inputs, outputs: found.append(outputs))
    out = model(noise(1, 3, 32, 48))["out"]
    assert [x.shape[1] for x, _ in found] == [64, 32, 16, 8]
    assert [tuple(logit.shape[-2:]) for _, logit in found] == [(4, 6), (8, 12), (16, 24), (32, 48)]
    repeated = [
        logit.repeat_interleave(factor, 2).repeat_interleave(factor, 3)
        for (_, logit), factor in zip(found, (8, 4, 2, 1), strict=True)
    ]
    torch.testing.assert_close(out, sum(repeated))


@torch.no_grad()
def test_chain_goes_on_without_srm():
    torch.manual_seed(0)
    whole, without = create_model("scrnet").eval(), create_model("scrnet", srm=False).eval()
    without.load_state_dict({k: v for k, v in whole.state_dict().items() if ".refine." not in k})
    chains = ([], [])
    for model, chain in zip((whole, without), chains, strict=True):
        for level in model.levels:
            level.register_forward_hook(lambda module, inputs, outputs, chain=chain: chain.append(outputs))
        model(noise(1, 3, 32, 32))
    for (x, logit), (plain_x, plain_logit) in zip(*chains, strict=True):
        assert torch.equal(x, plain_x)
        assert not torch.allclose(logit, plain_logit)


def test_ablation_drops_exactly_its_modules():
    baseline = parameters(scm=False, srm=False)
    flows = sum(2 * channels * 2 * 9 for channels in (16, 32, 64, 128))
    contexts = sum(coarser * c + c for c, coarser in ((8, 16), (16, 32), (32, 64), (64, 128)))
    assert parameters(srm=False) - baseline == flows
    assert parameters(scm=False) - baseline == contexts
    assert parameters() - baseline == flows + contexts


def test_width_table_is_an_option():
    options = {"encoder_channels": (8, 12, 16, 24, 32), "decoder_channels": (4, 6, 8, 12)}
    model = create_model("scrnet", **options)
    assert model(noise(2, 3, 32, 16))["out"].shape == (2, 1, 32, 16)
    with pytest.raises(ModelError, match="give five and four widths, finest first"):
        create_model("scrnet", encoder_channels=(16, 32, 64))


def test_starts_by_kaiming():
    torch.manual_seed(0)
    model = create_model("scrnet")
    for name, module in model.named_modules():
        if isinstance(module, nn.Conv2d):
            expected = (2 / module.weight[0].numel()) ** 0.5
            tolerance = 4 / module.weight.numel() ** 0.5
            assert abs(module.weight.std().item() / expected - 1) < tolerance + 0.05, name
            assert module.bias is None or not module.bias.any(), name


def test_mixed_precision_trains():
    model = create_model("scrnet")
    with torch.autocast("cpu", dtype=torch.bfloat16):
        out = model(noise(2, 3, 64, 48))["out"]
    out.float().mean().backward()
    assert all(p.grad.isfinite().all() for p in model.parameters())


def test_batch_of_one_trains_and_reaches_every_parameter():
    torch.manual_seed(0)
    model = create_model("scrnet").train()
    model(noise(1, 3, 48, 80))["out"].sin().sum().backward()
    assert [n for n, p in model.named_parameters() if p.grad is None or not p.grad.any()] == []


def test_there_is_nothing_pretrained():
    with pytest.raises(ModelError, match="trained from scratch"):
        create_model("scrnet", pretrained=True)

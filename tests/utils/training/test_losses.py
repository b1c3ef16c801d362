"""The losses by hand and by golden values; deep supervision by name."""

import math
from itertools import combinations

import pytest
import torch
import torch.nn.functional as F

from measure.io.errors import InputError
from tests.helpers.golden import load
from utils.training.losses import (
    LOSSES,
    MIXTURES,
    DeepSupervision,
    border_weight,
    cross_entropy_dice,
    dice_loss,
    structure_loss,
)

RELEASED_ORDER = ("logit1", "logit2", "logit3", "logit4", "deep_logit2", "deep_logit3")


@pytest.mark.parametrize("name", ["sepnet_pvt-v2-b0", "sepnet_pvt-v2-b2"])
def test_loss_equals_the_released_one(name):
    golden = load(name)
    mask = torch.from_numpy(golden["loss_gt"]).float()
    expected = golden["structure_loss_of_logits_over_their_absmax"]
    for output, value in zip(RELEASED_ORDER, expected, strict=True):
        logits = torch.from_numpy(golden[output])
        logits = logits / max(1, logits.abs().max())
        resized = F.interpolate(mask, logits.shape[-2:], mode="bilinear", align_corners=True)
        assert structure_loss(logits, resized).item() == pytest.approx(value, rel=1e-6)


def test_loss_of_one_pixel_by_hand():
    # a lone pixel: the 31 x 31 mean counts the padding, so w = 1 + 5 |1/961 - 1| = 1 + 5 * 960/961
    weight = 1 + 5 * 960 / 961
    logit, p = 0.4, 1 / (1 + math.exp(-0.4))
    cross_entropy = -math.log(p)
    iou = 1 - (p * weight + 1) / ((p + 1) * weight - p * weight + 1)
    loss = structure_loss(torch.full((1, 1, 1, 1), logit), torch.ones(1, 1, 1, 1))
    assert loss.item() == pytest.approx(cross_entropy + iou, rel=1e-6)


def test_border_weight_equals_the_literal_window():
    mask = (torch.rand(2, 1, 40, 50, generator=torch.Generator().manual_seed(0)) > 0.7).float()
    literal = 1 + 5 * (F.avg_pool2d(mask, 31, stride=1, padding=15) - mask).abs()
    assert torch.allclose(border_weight(mask), literal, atol=1e-5)


def test_plain_entropy_is_the_mean_and_the_rest_keeps_its_weight():
    rng = torch.Generator().manual_seed(0)
    logits, mask = torch.randn(2, 1, 40, 40, generator=rng), (torch.rand(2, 1, 40, 40, generator=rng) > 0.7).float()
    weight, p = border_weight(mask), logits.sigmoid()
    both, union = ((weight * x).sum(dim=(2, 3)) for x in (p * mask, p + mask))
    expected = F.binary_cross_entropy_with_logits(logits, mask) + (1 - (both + 1) / (union - both + 1)).mean()
    assert LOSSES["structure_plain_entropy"](logits, mask).item() == pytest.approx(expected.item(), rel=1e-6)
    assert structure_loss(logits, mask).item() != pytest.approx(expected.item(), rel=1e-4)


def test_loss_is_a_mean_over_the_batch():
    generator = torch.Generator().manual_seed(0)
    logits, mask = torch.randn(3, 1, 20, 20, generator=generator), torch.zeros(3, 1, 20, 20)
    mask[:, :, 5:12, 6:15] = 1
    each = [structure_loss(logits[n : n + 1], mask[n : n + 1]).item() for n in range(3)]
    assert structure_loss(logits, mask).item() == pytest.approx(sum(each) / 3, rel=1e-6)


@pytest.mark.parametrize("name", LOSSES)
def test_loss_is_a_mean_over_the_classes(name):
    generator = torch.Generator().manual_seed(0)
    logits, mask = (torch.randn(2, 3, 40, 40, generator=generator) for _ in range(2))
    mask = (mask > torch.tensor([0.0, 1.0, 9.0])[:, None, None]).float()  # the last class is nowhere
    each = [LOSSES[name](logits[:, k : k + 1], mask[:, k : k + 1]).item() for k in range(3)]
    assert LOSSES[name](logits, mask).item() == pytest.approx(sum(each) / 3, rel=1e-6)
    assert max(each) - min(each) > 0.1


def test_a_right_map_loses_less_than_a_wrong_one():
    mask = torch.zeros(1, 1, 32, 32)
    mask[:, :, 8:20, 8:20] = 1
    right = structure_loss(20 * mask - 10, mask).item()
    assert right == pytest.approx(0, abs=1e-3)
    assert structure_loss(10 - 20 * mask, mask).item() > 10


def test_dice_and_cross_entropy_by_hand():
    """Two images of two pixels: probabilities 3/4, 1/4 and 1/2, 1/2 against 1, 0 and 1, 1."""
    logits = torch.tensor([[math.log(3), -math.log(3)], [0.0, 0.0]]).reshape(2, 1, 1, 2)
    mask = torch.tensor([[1.0, 0.0], [1.0, 1.0]]).reshape(2, 1, 1, 2)
    dice = 1 - (2 * (0.75 + 0.5 + 0.5) + 1) / (2 + 3 + 1)
    entropy = (2 * math.log(4 / 3) + 2 * math.log(2)) / 4
    assert dice_loss(logits, mask).item() == pytest.approx(dice, rel=1e-6)
    assert cross_entropy_dice(logits, mask).item() == pytest.approx(entropy + dice, rel=1e-6)
    assert LOSSES["bce_dice"](logits, mask).item() == pytest.approx(entropy + dice, rel=1e-6)
    assert LOSSES["ce_dice"](logits, mask).item() == pytest.approx(0.4 * entropy + 0.6 * dice, rel=1e-6)


@pytest.mark.parametrize("name", LOSSES)
def test_every_loss_is_near_0_where_all_is_right_and_falls_towards_it(name):
    mask = torch.zeros(2, 1, 32, 32)
    mask[:, :, 8:20, 8:20] = 1
    sure = [LOSSES[name](scale * (2 * mask - 1), mask).item() for scale in (-20.0, 0.0, 2.0, 20.0)]
    assert sure == sorted(sure, reverse=True) and sure[-1] == pytest.approx(0, abs=1e-3)


@pytest.mark.parametrize("name", LOSSES)
def test_losses_are_float32_under_mixed_precision(name):
    logits, mask = torch.randn(1, 1, 8, 8).bfloat16().requires_grad_(), torch.ones(1, 1, 8, 8)
    with torch.autocast("cpu", torch.bfloat16):
        loss = LOSSES[name](logits, mask)
    assert loss.dtype == torch.float32
    loss.backward()
    assert logits.grad.abs().sum() > 0


def test_supervision_weights_outputs_by_name():
    loss = DeepSupervision(lambda logits, mask: logits.mean() + 0 * mask.mean(), {"out": 2, "deep": 0.5})
    total, parts = loss({"out": torch.full((1, 1, 4, 4), 3.0), "deep": torch.ones(1, 1, 2, 2)}, torch.zeros(1, 1, 8, 8))
    assert total.item() == 2 * 3 + 0.5 * 1
    assert {name: part.item() for name, part in parts.items()} == {"out": 3.0, "deep": 1.0}


def test_supervision_resizes_the_mask_with_aligned_corners():
    seen = []
    loss = DeepSupervision(lambda logits, mask: seen.append(mask) or logits.mean(), {"out": 1})
    mask = torch.rand(1, 1, 9, 9)
    loss({"out": torch.zeros(1, 1, 3, 3)}, mask)
    assert torch.allclose(seen[0], mask[:, :, ::4, ::4])


def test_outputs_of_one_size_share_mask_and_border_weight():
    seen = []

    def loss(logits, mask, *, weight):
        seen.append((mask, weight))
        return structure_loss(logits, mask, weight=weight)

    rng = torch.Generator().manual_seed(0)
    outputs = {name: torch.randn(2, 1, side, side, generator=rng) for name, side in (("out", 8), ("a", 4), ("b", 4))}
    mask = (torch.rand(2, 1, 16, 16, generator=rng) > 0.5).float()
    _, parts = DeepSupervision(loss, dict.fromkeys(outputs, 1.0))(outputs, mask)
    (out_mask, _), (a_mask, a_weight), (b_mask, b_weight) = seen
    assert a_mask is b_mask and a_weight is b_weight and out_mask.shape != a_mask.shape
    for name, logits in outputs.items():
        resized = F.interpolate(mask, logits.shape[-2:], mode="bilinear", align_corners=True)
        assert parts[name].item() == pytest.approx(structure_loss(logits, resized).item(), rel=1e-6)


def test_supervision_refuses_other_names():
    loss = DeepSupervision(structure_loss, {"out": 1, "logit2": 1})
    with pytest.raises(InputError, match="the network gives out but losses are set for out, logit2"):
        loss({"out": torch.zeros(1, 1, 4, 4)}, torch.zeros(1, 1, 8, 8))


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("kind", MIXTURES)
def test_mixtures_are_the_mean_loss_of_all_sums_and_products(name, kind):
    """Written out: three outputs, two classes, every subset of two and three, at the largest output's size."""
    rng = torch.Generator().manual_seed(0)
    outputs = {each: torch.randn(2, 2, side, side, generator=rng) for each, side in (("out", 16), ("a", 8), ("b", 16))}
    mask = (torch.rand(2, 2, 16, 16, generator=rng) > 0.5).float()
    resized = [F.interpolate(z, (16, 16), mode="bilinear", align_corners=True) for z in outputs.values()]
    losses = []
    for count in (2, 3):
        for subset in combinations(resized, count):
            mixed = sum(subset)
            if kind == "product":
                mixed = torch.stack(subset).double().sigmoid().prod(dim=0).logit().float()
            losses.append(LOSSES[name](mixed, mask).item())
    assert len(losses) == 4
    single, _ = DeepSupervision(LOSSES[name], dict.fromkeys(outputs, 1.0))(outputs, mask)
    loss = DeepSupervision(LOSSES[name], dict.fromkeys(outputs, 1.0), mixtures={kind: 0.5})
    total, parts = loss(outputs, mask)
    assert set(parts) == {*outputs, kind}
    assert parts[kind].item() == pytest.approx(sum(losses) / 4, rel=1e-5)
    assert total.item() == pytest.approx(single.item() + 0.5 * sum(losses) / 4, rel=1e-5)


def test_the_product_of_two_probabilities_by_hand():
    """1/2 and 3/4 give 3/8, whose logit is log(3/5); sure outputs stay finite, and so do their gradients."""
    pairs = torch.tensor([[0.0, math.log(3)], [200.0, 200.0], [-200.0, -200.0], [200.0, -200.0]]).requires_grad_()
    mixed = MIXTURES["product"](pairs.T.reshape(2, 4, 1, 1, 1), torch.ones(1, 2)).flatten()
    assert mixed[0].item() == pytest.approx(math.log(3 / 5), rel=1e-6)
    assert mixed[1] > 10 and mixed[2] == -400 and mixed[3] == -200
    mixed.sum().backward()
    assert pairs.grad.isfinite().all()

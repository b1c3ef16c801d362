"""Batch normalizations folded into convolutions: the same outputs, and only where nothing else reads between them."""

import pytest
import torch
from torch import nn

from lib import create_model, list_models
from utils.prediction.runtimes.folding import fold_batch_norms, foldable

pytestmark = pytest.mark.slow
NETWORKS = [("scrnet", {}), *((name, {"backbone": "resnet18"}) for name in ("convsegnet", "dilatedsegnet"))]
NETWORKS += [("sepnet", {"backbone": name, "aux": False}) for name in ("pvt-v2-b0", "tf_efficientnet_lite0")]


def norms(model):
    return [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]


def trained_statistics(model):
    """Statistics and weights of normalizations as if trained, so that folding has something to do."""
    for norm in norms(model):
        norm.running_mean.normal_(0, 0.1)
        norm.running_var.uniform_(0.5, 2)
        norm.weight.data.uniform_(0.5, 1.5)
        norm.bias.data.normal_(0, 0.1)
    return model.eval()


@pytest.mark.parametrize(("name", "options"), NETWORKS)
@torch.inference_mode()
def test_every_image_network_says_the_same_without_normalizations(name, options):
    assert {name for name, _ in NETWORKS} == set(list_models("image"))
    torch.manual_seed(0)
    model = trained_statistics(create_model(name, **options))
    before = {key: value.clone() for key, value in model.state_dict().items()}
    folded = fold_batch_norms(model, 64)
    image = torch.randn(2, 3, 64, 64)
    expected, found = model(image)["out"], folded(image)["out"]
    assert (found - expected).abs().max() <= 1e-5 * max(1, expected.abs().max())
    assert norms(model) and not norms(folded)
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items()), "the network was changed"


class Small(nn.Module):
    """Four pairs, of which the first alone can be folded: the others have a second reader or a second use."""

    def __init__(self):
        super().__init__()
        self.free, self.read, self.shared = (nn.Conv2d(3, 3, 1) for _ in range(3))
        self.free_norm, self.read_norm, self.shared_norm, self.first = (nn.BatchNorm2d(3) for _ in range(4))

    def forward(self, x):
        x = self.free_norm(self.free(self.first(x)))
        read = self.read(x)
        x = self.read_norm(read) + read
        return {"out": self.shared_norm(self.shared(x)) + self.shared(x)}


@torch.inference_mode()
def test_what_something_else_reads_stays():
    torch.manual_seed(0)
    model = trained_statistics(Small())
    assert foldable(model, 8) == [("free", "free_norm")]
    image = torch.randn(2, 3, 8, 8)
    folded = fold_batch_norms(model, 8)
    assert isinstance(folded.free_norm, nn.Identity)
    torch.testing.assert_close(folded(image)["out"], model(image)["out"], rtol=0, atol=1e-5)

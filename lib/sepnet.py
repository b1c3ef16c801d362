"""SEPNet: Polyp Segmentation via Semantic Enhanced Perceptual Network (Wang, Qi, Yang; IEEE TCSVT 2024).

https://ieeexplore.ieee.org/document/10608167. Loads the weights published for github.com/wangtong627/SEPNet.

(N, 3, H, W) normalized RGB, H and W multiples of 32 -> ordered dict of (N, K, h, w) logits of K classes
(one unless asked for), finest first: `out` at stride 4 (the released logit1); with `aux` also `logit2`, `logit3`,
`logit4` at strides 8, 16, 32 and `deep2`, `deep3` at strides 8, 16.

Differs from the released code in:
- one class in place of a training and an evaluation network: `aux=False` leaves out the PSE branch and the coarser
  heads, and `out` is bit-identical;
- backbones come from timm; names of entries are ours, and the published ones are mapped (`remap_published`);
- the guide probability is resized once per PSE block, not once per semantic convolution;
- of several classes, the largest logit guides PSE; the released network has one;
- the guide map, and the softmax and sums of its backward, stay float32 under mixed precision.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor, nn

from .backbones import Backbone, remap_backbone, rename
from .base import ImageNetwork
from .modules import CRC, MAP, PSE, LowLevelMAP
from .modules.layers import ConvBNReLU

__all__ = ["SEPNet", "SEPNetConfig"]

DROP_PATH = 0.1  # stochastic depth of PVT-v2 in the released training


@dataclass(frozen=True)
class SEPNetConfig:
    """Options of SEPNet; the defaults are the released ones.

    Attributes:
        backbone: a short name of `lib.backbones.BACKBONES` or a timm model with strides 4, 8, 16, 32.
        aux: build the training network; False: only what `out` needs.
        classes: K, logits a pixel; each is a sigmoid of its own.
        channels: M, the width of everything after the backbone.
        map_reduction: M divided by this is the width of one receptive field in MAP.
        map_se_reduction: hidden width of MAP's channel weights, as a divisor.
        fuse_reductions: hidden widths of CRC's two fusions (focus, result), as divisors of M.
        pse_expansion: width between PSE's layers, as a multiple of M.
        pse_kernels: size of the predicted kernels of levels 1, 2, 3 (2 and 3 are used).
        pse_hidden: hidden channels per region of the kernel predictor.
        guide_kernels: size of the kernel that smooths the guide map of levels 1, 2, 3 (2 and 3 are used).
    """

    backbone: str = "pvt-v2-b2"
    aux: bool = True
    classes: int = 1
    channels: int = 64
    map_reduction: int = 4
    map_se_reduction: int = 16
    fuse_reductions: tuple[int, int] = (4, 4)
    pse_expansion: int = 2
    pse_kernels: tuple[int, int, int] = (3, 3, 3)
    pse_hidden: int = 32
    guide_kernels: tuple[int, int, int] = (15, 15, 15)


def foreground(logits: Tensor) -> Tensor:
    """The logit of any polyp, the largest of the classes. (N, K, h, w) -> (N, 1, h, w); of one class its own."""
    return logits if logits.shape[1] == 1 else logits.amax(dim=1, keepdim=True)


# published name -> ours, applied in this order to every entry
PUBLISHED_NAMES = (
    (r"^rf1_block\.channel_reduction\.", "map1.reduce."),
    (r"^rf(\d)_block\.", r"map\1."),
    (r"^dff(\d)_block\.", r"deep_crc\1."),
    (r"^df(\d)_block\.", r"crc\1."),
    (r"^sc(\d)_block\.", r"pse\1."),
    (r"^get_deep_logit(\d)\.getlogits\.", r"deep_head\1."),
    (r"^get_logit(\d)\.getlogits\.", r"head\1."),
    (r"\.channel_reduction_(\d)\.", lambda m: f".reduce.{int(m[1]) - 1}."),
    (r"\.channel_reduction\.", ".reduce."),
    (r"\.get_feat_y(\d)\.", lambda m: f".perceive.{int(m[1]) - 1}."),
    (r"\.(left|right)_branch\.", r".\1."),
    (r"\.channel_smooth\.", ".merge."),
    (r"\.dilation_conv\.", ".dilated."),
    (r"\.get_feat_cat\.", ".merge."),
    (r"\.get_feat_res\.", ".shortcut."),
    (r"\.se\.fc\.0\.", ".se.squeeze."),
    (r"\.se\.fc\.2\.", ".se.excite."),
    (r"\.conv_(low|high|focus)\.", r".\1."),
    (r"\.conv_mining\.", ".detail."),
    (r"\.conv_res\.", ".result."),
    (r"\.df_focus\.", ".fuse_focus."),
    (r"\.df_res\.", ".fuse_result."),
    (r"\.(local|global)_att\.", r".\1_context."),
    (r"\.sc_3layer\.sconv(\d)\.", lambda m: f".layers.{int(m[1]) - 1}."),
    (r"\.sconv\.conv_kernel\.", ".conv.predict."),
    (r"\.sconv\.get_guide\.gaussian_kernel$", ".conv.guide_kernel"),
    (r"\.conv_in_out\.", ".shortcut."),
)
PUBLISHED_ENCODER = "encoder_feat.backbone."


class SEPNet(ImageNetwork):
    """See the head of this file; `pretrained` loads the backbone's ImageNet weights through timm."""

    name = "sepnet"
    paper = "Wang, Qi, Yang: Polyp Segmentation via Semantic Enhanced Perceptual Network, IEEE TCSVT 2024"
    config_class = SEPNetConfig
    divisor = smallest = 32
    train_size = 352

    TRAINING_OUTPUTS = ("logit2", "logit3", "logit4", "deep2", "deep3")
    # beginnings of the entries that only the training network has
    TRAINING_ONLY = ("pse", "deep_crc", "head2.", "head3.", "head4.", "deep_head")

    def __init__(self, config: SEPNetConfig, *, pretrained: bool = False):
        super().__init__()
        self.config = config
        width = config.channels
        self.encoder = Backbone(config.backbone, pretrained=pretrained, drop_path=DROP_PATH)
        c1, c2, c3, c4 = self.encoder.channels

        se = {"channels": width, "se_reduction": config.map_se_reduction}
        self.map1 = LowLevelMAP(c1, **se)
        self.map2 = MAP(c2, reduction=config.map_reduction, **se)
        self.map3 = MAP(c3, reduction=config.map_reduction, **se)
        self.map4 = MAP(c4, reduction=config.map_reduction, **se)
        self.crc1 = CRC(width, fuse_reductions=config.fuse_reductions)
        self.crc2 = CRC(width, fuse_reductions=config.fuse_reductions)
        self.crc3 = CRC(width, fuse_reductions=config.fuse_reductions)
        self.head1 = nn.Sequential(ConvBNReLU(width, width, 3), nn.Conv2d(width, config.classes, 1))
        if config.aux:
            self._build_training_branch(c2, c3)

    def _build_training_branch(self, c2: int, c3: int) -> None:
        config, width = self.config, self.config.channels
        self.head2 = nn.Conv2d(width, config.classes, 1)
        self.head3 = nn.Conv2d(width, config.classes, 1)
        self.head4 = nn.Conv2d(width, config.classes, 1)
        self.pse2 = self._pse(c2, level=2)
        self.pse3 = self._pse(c3, level=3)
        self.deep_crc2 = CRC(width, fuse_reductions=config.fuse_reductions)
        self.deep_crc3 = CRC(width, fuse_reductions=config.fuse_reductions)
        self.deep_head2 = nn.Conv2d(width, config.classes, 1)
        self.deep_head3 = nn.Conv2d(width, config.classes, 1)

    def _pse(self, in_channels: int, *, level: int) -> PSE:
        config = self.config
        return PSE(
            in_channels,
            channels=config.channels,
            expansion=config.pse_expansion,
            kernel=config.pse_kernels[level - 1],
            hidden=config.pse_hidden,
            guide_kernel=config.guide_kernels[level - 1],
        )

    @property
    def output_names(self) -> tuple[str, ...]:
        return ("out", *self.TRAINING_OUTPUTS) if self.config.aux else ("out",)

    @property
    def head(self) -> nn.Conv2d:
        return self.head1[-1]

    @property
    def ignored_prefixes(self) -> tuple[str, ...]:
        """Beginnings of entries that a weight file may have beyond this network."""
        heads = super().ignored_prefixes
        return heads if self.config.aux else heads + self.TRAINING_ONLY

    def remap_published(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Published entry names -> ours; names of other kinds stay as they are."""
        names = list(self.encoder.net.state_dict())
        encoder = {
            name.removeprefix(PUBLISHED_ENCODER): value
            for name, value in state.items()
            if name.startswith(PUBLISHED_ENCODER)
        }
        encoder = remap_backbone(encoder, self.encoder.timm_name, names)
        rest = {name: value for name, value in state.items() if not name.startswith(PUBLISHED_ENCODER)}
        return {f"encoder.net.{name}": value for name, value in encoder.items()} | {
            rename(name, PUBLISHED_NAMES): value for name, value in rest.items()
        }

    def forward(self, image: Tensor) -> OrderedDict[str, Tensor]:
        e1, e2, e3, e4 = self.encoder(image)
        m4 = self.map4(e4)
        c3 = self.crc3(self.map3(e3), m4)
        c2 = self.crc2(self.map2(e2), c3)
        c1 = self.crc1(self.map1(e1), c2)
        logits = OrderedDict(out=self.head1(c1))
        if self.config.aux:
            logits["logit2"] = self.head2(c2)
            logits["logit3"] = self.head3(c3)
            logits["logit4"] = self.head4(m4)
            logits["deep2"] = self.deep_head2(self.deep_crc2(c2, self.pse2(e2, foreground(logits["logit3"]))))
            logits["deep3"] = self.deep_head3(self.deep_crc3(c3, self.pse3(e3, foreground(logits["logit4"]))))
        return logits

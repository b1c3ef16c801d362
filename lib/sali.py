"""SALI (Hu, Yi, Zhou, Peng, Liu, Li, Wang; MICCAI 2024) and LSI-Net, the name under which it was first released.

SALI: Short-Term Alignment and Long-Term Interaction Network for Colonoscopy Video Polyp Segmentation. Both load the
weights published for github.com/Scatteredrain/SALI.

A frame is (N, 3, H, W) normalized RGB, H and W multiples of 32 and at least 256; its neighbour is the frame after it
(the one before it at the end of a clip, itself in a clip of one frame). `step` runs a clip frame by frame with a
`Memory`, `forward_clip` is the training forward on three frames. Both give an ordered dict of (N, 1, H, W) logits:
`out`, the prediction, then the coarser `stage4`, `stage5` and `global`.

The two networks share modules, parameters and names. They differ in one option: what the memory keeps of a frame is
the encoder's features (SALI), or the features after alignment and interaction (LSI-Net, `enhanced_values`). Frames are
always found by the encoder's features.

`temporal=False` is the ablation: encoder, receptive fields and decoder alone, which segment every frame by itself.

Differs from the released code in:
- the memory is an argument and a result of `step`, not state of the module; the caller says which frames are written;
- deformable convolutions are made of PyTorch's own operations, backbones come from timm, entries are renamed
  (`remap_published`);
- a frame's features can be computed once (`encode`) and used as frame and as neighbour;
- affinities are computed in pieces and only the entries read are gathered; they stay float32 under mixed precision;
- every clip of a batch has a memory of its own; `protect_newest` is new and off;
- BatchNorms of encoder and decoder train: the released constructor froze them and the first `train()` undid it
  (`freeze_norms` freezes them for good).
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .backbones import Backbone, remap_backbone, rename
from .base import VideoNetwork
from .errors import ModelError
from .modules import RFB, PooledAttention, ReverseDecoder
from .modules.deformable_alignment import DeformableAlignment
from .modules.memory import Memory, read, write
from .modules.precision import full_precision

__all__ = ["SALI", "Encoding", "LSINet", "LSINetConfig", "SALIConfig"]

WIDTH = 32  # channels of everything after the backbone
KEYS = 4  # numbers by which an entry of the memory is found
VALUES = WIDTH // 2  # numbers an entry says: read-out and own values fill the width
DROP_PATH = 0.3  # stochastic depth of PVT-v2 in the released training
STRIDES = (8, 16, 32)
POOLS = (2, 4, 8)  # of the fusion's attention at each level, as released


@dataclass(frozen=True)
class SALIConfig:
    """Options of SALI; the defaults are the released ones.

    Attributes:
        backbone: a short name of `lib.backbones.BACKBONES` or a timm model with strides 8, 16, 32.
        memory_frames: L, frames kept; a memory that has reached it is trimmed at every write.
        memory_top_k: entries that a pixel reads at most.
        protect_newest: keep the frame being written out of its own trim (released: it goes first).
        enhanced_values: write what the network made of a frame, not what the encoder saw (LSI-Net).
        freeze_norms: keep the BatchNorms of encoder, receptive fields and decoder at their statistics in training.
        temporal: look at the neighbour and the memory. Off, the modules for that are not there, frames are segmented
            one by one and nothing is remembered: what the paper's ablation compares with.
    """

    backbone: str = "pvt-v2-b5"
    memory_frames: int = 35
    memory_top_k: int = 20
    protect_newest: bool = False
    enhanced_values: bool = False
    freeze_norms: bool = False
    temporal: bool = True


@dataclass(frozen=True)
class LSINetConfig(SALIConfig):
    """Options of LSI-Net: SALI's, with `enhanced_values` on."""

    enhanced_values: bool = True


class Encoding(NamedTuple):
    """What the encoder makes of a frame: (N, 32, H/8, W/8), (N, 32, H/16, W/16), (N, 32, H/32, W/32)."""

    fine: Tensor
    middle: Tensor
    coarse: Tensor


# published name -> ours, applied in this order to every entry
PUBLISHED_NAMES = (
    (r"^backbone\.feat_net\.rfb(\d)_1\.", lambda m: f"rfb.{int(m[1]) - 2}."),
    (r"^(rfb\.\d)\.branch(\d)\.", r"\1.branches.\2."),
    (r"^(rfb\.\d)\.conv_cat\.", r"\1.merge."),
    (r"^(rfb\.\d)\.conv_res\.", r"\1.shortcut."),
    (r"^backbone\.decoder\.NCD\.conv_upsample", "decoder.connection.up"),
    (r"^backbone\.decoder\.NCD\.conv_concat", "decoder.connection.merge"),
    (r"^backbone\.decoder\.NCD\.conv4\.", "decoder.connection.smooth."),
    (r"^backbone\.decoder\.NCD\.conv5\.", "decoder.connection.head."),
    (r"^backbone\.decoder\.RS(\d)\.weak_gra\.", r"decoder.stage\1.blocks.0."),
    (r"^backbone\.decoder\.RS(\d)\.medium_gra\.", r"decoder.stage\1.blocks.1."),
    (r"^backbone\.decoder\.RS(\d)\.strong_gra\.", r"decoder.stage\1.blocks.2."),
    (r"^(decoder\.stage\d\.blocks\.\d)\.conv\.0\.", r"\1.merge."),
    (r"^nlnet\.(?:nl_layer|conv)(\d)\.", lambda m: f"fusion.{int(m[1]) - 1}."),
    (r"^(fusion\.\d)\.g\.0\.", r"\1.value."),
    (r"^(fusion\.\d)\.W\.", r"\1.expand."),
    (r"^(fusion\.\d)\.residual_conv\.", r"\1.merge."),
    (r"^(fusion\.\d)\.(conv|bn)\.", r"\1.reduce.\2."),
    (r"^pcd_align\.(\w+)\.l(\d)\.", lambda m: f"alignment.levels.{int(m[2]) - 1}.{m[1]}."),
    (r"^(alignment\.levels\.\d)\.offset_conv1\.", r"\1.compare."),
    (r"^(alignment\.levels\.\d)\.offset_conv2\.", r"\1.guide."),
    (r"^(alignment\.levels\.\d)\.offset_conv3\.", r"\1.refine."),
    (r"^(alignment\.levels\.\d)\.dcn_pack\.conv_offset\.", r"\1.deform.offset."),
    (r"^(alignment\.levels\.\d)\.dcn_pack\.", r"\1.deform."),
    (r"^(alignment\.levels\.\d)\.feat_conv\.", r"\1.merge."),
    (r"^membranch\.Key(\d)\.", r"key.\1."),
    (r"^membranch\.Value(\d)\.", r"value.\1."),
)
PUBLISHED_ENCODER = re.compile(r"^backbone\.feat_net\.(?!rfb)\w+\.")  # named after the backbone: pvtv2_en


class SALI(VideoNetwork):
    """See the head of this file; `pretrained` loads the backbone's ImageNet weights through timm."""

    name = "sali"
    paper = (
        "Hu et al.: SALI: Short-Term Alignment and Long-Term Interaction Network for Colonoscopy Video Polyp "
        "Segmentation, MICCAI 2024"
    )
    config_class = SALIConfig
    divisor = max(STRIDES)
    smallest = STRIDES[-1] * POOLS[-1]  # the coarsest level must fill one pooled cell
    train_size = 352
    nondeterministic_ops = ("grid_sample",)
    output_names = ("out", "stage4", "stage5", "global")

    def __init__(self, config: SALIConfig, *, pretrained: bool = False):
        super().__init__()
        self.config = config
        self.encoder = Backbone(config.backbone, pretrained=pretrained, drop_path=DROP_PATH, strides=STRIDES)
        self.rfb = nn.ModuleList(RFB(channels, WIDTH) for channels in self.encoder.channels)
        if config.temporal:
            self.key = nn.ModuleList(nn.Conv2d(WIDTH, KEYS, 3, padding=1) for _ in STRIDES)
            self.value = nn.ModuleList(nn.Conv2d(WIDTH, VALUES, 3, padding=1) for _ in STRIDES)
            self.alignment = DeformableAlignment(WIDTH, levels=len(STRIDES))
            self.fusion = nn.ModuleList(PooledAttention(WIDTH, pool=pool) for pool in POOLS)
        self.decoder = ReverseDecoder(WIDTH)
        self.train()

    @property
    def head(self) -> nn.Conv2d:
        return self.decoder.stage3.blocks[-1].score

    @property
    def steady_parts(self) -> list[nn.Module]:
        """All but the memory, which grows."""
        temporal = (*self.key, *self.value, self.alignment, *self.fusion) if self.config.temporal else ()
        return [self.encoder, *self.rfb, *temporal, self.decoder]

    def remap_published(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Published entry names -> ours; names of other kinds stay as they are."""
        names = list(self.encoder.net.state_dict())
        inside = {name: PUBLISHED_ENCODER.sub("", name, count=1) for name in state if PUBLISHED_ENCODER.match(name)}
        encoder = remap_backbone({inside[name]: state[name] for name in inside}, self.encoder.timm_name, names)
        return {f"encoder.net.{name}": value for name, value in encoder.items()} | {
            rename(name, PUBLISHED_NAMES): value for name, value in state.items() if name not in inside
        }

    def train(self, mode: bool = True) -> SALI:
        """Switch to training or evaluation; with `freeze_norms` the frozen BatchNorms stay in evaluation."""
        super().train(mode)
        if self.config.freeze_norms:
            for module in (*self.encoder.modules(), *self.rfb.modules(), *self.decoder.modules()):
                if isinstance(module, nn.BatchNorm2d):
                    module.eval()
        return self

    def encode(self, frame: Tensor) -> Encoding:
        """Compute the features of a frame, for `step`.

        Raises:
            ModelError: a side is under 256 pixels or no multiple of 32.
        """
        height, width = frame.shape[-2:]
        if min(height, width) < self.smallest:
            raise ModelError(f"the input is {height} x {width} pixels; no side may be under {self.smallest}")
        return Encoding(*(rfb(features) for rfb, features in zip(self.rfb, self.encoder(frame), strict=True)))

    def step(
        self,
        frame: Tensor | Encoding,
        neighbour: Tensor | Encoding,
        memory: Memory | None = None,
        write: bool | Sequence[bool] = True,
    ) -> tuple[OrderedDict[str, Tensor], Memory]:
        """Segment one frame of N clips and remember it.

        Args:
            frame: images (N, 3, H, W), or what `encode` made of them.
            neighbour: the frames after them (see the head of this file), in the same form.
            memory: what the last step returned; None at the start of the clips.
            write: whether to remember this frame, for all clips or one by one; it is not yet read in this step.

        Returns:
            Logits at input size, and the memory for the next step. Within a clip the result is the same bits alone,
            interleaved with other clips, or in any place of a batch of the same size.

        Raises:
            ModelError: an illegal size, a neighbour of another size, or a memory of another number of clips.
        """
        if not self.config.temporal:
            return upsample(self.decoder(self._encoding(frame))), memory or Memory.empty()
        current, adjacent = self._encoding(frame), self._encoding(neighbour)
        if current.fine.shape != adjacent.fine.shape:
            raise ModelError(
                f"the frame's features are {tuple(current.fine.shape)} and its neighbour's "
                f"{tuple(adjacent.fine.shape)}; give both at the same size"
            )
        enhanced, memory = self._enhance(current, adjacent, memory or Memory.empty())
        logits = self.decoder(enhanced)
        memory = self._remember(memory, current, enhanced, logits, write)
        return upsample(logits), memory

    def forward_clip(
        self, memory_frame: Tensor, current: Tensor, neighbour: Tensor, memory_mask: Tensor
    ) -> OrderedDict[str, Tensor]:
        """Segment `current` with a memory of one earlier frame: the training forward, gradients run through all of it.

        Args:
            memory_frame: images (N, 3, H, W) of an earlier moment.
            current: the images to segment.
            neighbour: the images after them (see the head of this file).
            memory_mask: true mask of the memory frame, (N, 1, H, W), 0 or 1.

        Returns:
            Logits of `current` at input size.
        """
        if not self.config.temporal:
            return upsample(self.decoder(self.encode(current)))
        past, present, adjacent = (self.encode(frame) for frame in (memory_frame, current, neighbour))
        content = past
        if self.config.enhanced_values:
            content, _ = self._enhance(past, past, Memory.empty())
        masks = [F.interpolate(memory_mask, f.shape[-2:], mode="bilinear", align_corners=False) for f in past]
        memory = self.entries(past, content, masks)
        enhanced, _ = self._enhance(present, adjacent, memory)
        return upsample(self.decoder(enhanced))

    forward = forward_clip

    def _encoding(self, frame: Tensor | Encoding) -> Encoding:
        return frame if isinstance(frame, Encoding) else self.encode(frame)

    def entries(self, place: Sequence[Tensor], content: Sequence[Tensor], masks: Sequence[Tensor] = ()) -> Memory:
        """Turn maps into entries that are found by `place` and say `content`.

        With masks, per level (N, 1, h, w), logits or 0 and 1, the values of an entry are multiplied by 1 + the softmax
        of the mask over all positions.
        """
        keys = [full_precision(key(x)) for key, x in zip(self.key, place, strict=True)]
        values = [full_precision(value(x)) for value, x in zip(self.value, content, strict=True)]
        if masks:
            weights = [full_precision(mask).flatten(2).softmax(dim=2).view_as(mask) for mask in masks]
            values = [value * (1 + weight) for value, weight in zip(values, weights, strict=True)]
        return Memory.of_frame(keys, values)

    def _enhance(self, current: Encoding, adjacent: Encoding, memory: Memory) -> tuple[list[Tensor], Memory]:
        """Long- and short-term interaction. Returns (N, 32, h, w) per level, and the memory with its usage counted."""
        entries = self.entries(current, current)
        with torch.autocast(current.fine.device.type, enabled=False):
            found, memory = read(memory, entries, top_k=self.config.memory_top_k)
        return self.interact(found, current, adjacent), memory

    def interact(self, found: Sequence[Tensor], current: Encoding, adjacent: Encoding) -> list[Tensor]:
        """Fuse what was found in the memory, per level (N, hw, 32), and the neighbour with the frame's own features."""
        pairs = zip(found, current, strict=True)
        recalled = [rows.unflatten(1, own.shape[-2:]).movedim(3, 1) for rows, own in pairs]  # channels last
        long_term = self.alignment(recalled, current)
        short_term = self.alignment(adjacent, current)
        pairs = zip(self.fusion, long_term, short_term, strict=True)
        return [fusion(torch.cat(pair, dim=1)) for fusion, *pair in pairs]

    def _remember(
        self,
        memory: Memory,
        current: Encoding,
        enhanced: Sequence[Tensor],
        logits: Sequence[Tensor],
        which: bool | Sequence[bool],
    ) -> Memory:
        """Write the frame, weighted by its own predicted masks, to the memory of the clips chosen."""
        batch = len(current.fine)
        chosen = [which] * batch if isinstance(which, bool) else [bool(w) for w in which]
        if not any(chosen):
            return memory
        content = enhanced if self.config.enhanced_values else current
        frame = self.entries(current, content, logits[: len(STRIDES)])
        limits = {"limit": self.config.memory_frames, "protect_newest": self.config.protect_newest}
        return write(memory, frame, which=chosen, **limits)


def upsample(logits: Sequence[Tensor]) -> OrderedDict[str, Tensor]:
    """Name the decoder's four logits and bring them to the size of the input, eight times the finest."""
    size = [STRIDES[0] * side for side in logits[0].shape[-2:]]
    resized = (F.interpolate(logit, size, mode="bilinear", align_corners=False) for logit in logits)
    return OrderedDict(zip(SALI.output_names, resized, strict=True))


class LSINet(SALI):
    """SALI whose memory keeps enhanced features; see the head of this file."""

    name = "lsinet"
    paper = (
        "LSI-Net: Long- and Short-term Temporal Interaction Network for Colonoscopy Video Polyp Segmentation, 2024 "
        "(first release of SALI)"
    )
    config_class = LSINetConfig

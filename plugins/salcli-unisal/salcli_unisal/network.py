"""UNISAL as a network: Droste, Jiao, Noble, "Unified Image and Video Saliency Modeling", ECCV 2020.

Attribute names are the keys of the published state dict. Shapes: N frames, h x w network input
(multiples of 32). All work that does not depend on the recurrent state is done for many frames at
once; three optimisations give the same numbers with about a quarter less arithmetic: blocks 2 and 4
convolve with stride 2 instead of dropping rows afterwards; the first 1x1 convolution after each
upsampling is applied before it; the smoothing of the nearest-upsampled map is done by one kernel
per output phase.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from salcli.authoring import FusedConvolution, fuse, with_shared_weights
from salcli_unisal import DOMAINS
from salcli_unisal.encoder import MobileNetV2
from salcli_unisal.layers import OTHER_MOMENTUM, DomainSequential, Norms, expansion, sequential
from salcli_unisal.recurrent import HIDDEN, STATE_DROPOUT, Recurrent

PRIOR_GAIN = 6.0
SMOOTHING, UPSAMPLING = 41, 8
SMOOTHING_LOG_SIGMA = -2.0


class Skip(nn.Module):
    """Skip connection: 1x1 to twice the channels, dropout of whole channels, 1x1 down."""

    def __init__(self, cin: int, cout: int, norm: Norms, *, dropout: float) -> None:
        super().__init__()
        wide = 2 * cin
        self.expansion = sequential(nn.Conv2d(cin, wide, 1, bias=False), norm(wide), nn.ReLU6())
        self.dropout = nn.Dropout2d(dropout)
        self.reduction = sequential(nn.Conv2d(wide, cout, 1), norm(cout))

    def forward(self, x: Tensor, domain: str) -> Tensor:
        """`[N, cin, h, w]` -> `[N, cout, h, w]`."""
        y: Tensor = self.reduction(self.dropout(self.expansion(x, domain)), domain)
        return y


class Block(nn.Module):
    """Holds layers under the published name `conv`."""

    def __init__(self, layers: DomainSequential) -> None:
        super().__init__()
        self.conv = layers


class Stage(nn.Module):
    """An inverted residual under the published name `inv_res`."""

    def __init__(self, cin: int, cout: int, factor: int, norm: Norms) -> None:
        super().__init__()
        self.inv_res = Block(expansion(cin, cout, factor, norm))
        self.halves = nn.ModuleList()

    @property
    def layers(self) -> DomainSequential:
        """The block's layers."""
        return self.inv_res.conv

    def forward(self, x: Tensor, domain: str) -> Tensor:
        """`[N, cin, h, w]` -> `[N, cout, h, w]`."""
        y: Tensor = self.layers(x, domain)
        return y

    def upsampled(self, x: Tensor, skip: Tensor, domain: str) -> Tensor:
        """The block applied to [x upsampled twofold, skip].

        A 1x1 convolution and bilinear upsampling commute, so x's contribution is convolved at its
        own resolution, with four times fewer pixels.
        """
        widen = self.layers[0]
        if isinstance(widen, FusedConvolution):
            below, beside = self.halves
            y = double(below(x)).add_(beside(skip))
            y = widen.activate(y)
        else:
            assert isinstance(widen, nn.Conv2d)
            split = x.shape[1]
            y = double(F.conv2d(x, widen.weight[:, :split]))
            y = y + F.conv2d(skip, widen.weight[:, split:])
        z: Tensor = self.layers(y, domain, start=1)
        return z

    def divide(self, channels: int) -> None:
        """Once the layers are fused, prepare `upsampled` for this many channels of `x`."""
        widen = self.layers[0]
        assert isinstance(widen, FusedConvolution)
        assert widen.bias is not None
        parts = torch.split(widen.weight, [channels, widen.weight.shape[1] - channels], dim=1)
        for part in parts:
            half = nn.Conv2d(part.shape[1], len(part), 1)
            half.weight.data, half.bias = part, None
            self.halves.append(FusedConvolution(half))
        self.halves[1].bias = widen.bias


def double(x: Tensor) -> Tensor:
    """Bilinear upsampling by 2."""
    return F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)


class UNISAL(nn.Module):
    """The whole network.

    Args:
        sources: Domains that the weights support; a network for SALICON alone has no recurrent
            part.
        ds_bn, ds_gaussians, ds_adaptation, ds_smoothing: Which parts are domain-specific.
        n_gaussians: 16 prior maps, or 0 for none.
        bypass_rnn: Stills skip the recurrent part.
        res_rnn: The recurrent feature is added to the still feature instead of replacing it.
        drop_probs: Dropout of the skips at 1/16 and 1/8.
        state_dropout: Dropout of the recurrent state.
        first: Which of two rows and columns the encoder keeps when it halves the resolution; see
            `InvertedResidual`.
    """

    def __init__(
        self,
        sources: Sequence[str] = DOMAINS,
        *,
        ds_bn: bool = True,
        ds_gaussians: bool = True,
        ds_adaptation: bool = True,
        ds_smoothing: bool = True,
        n_gaussians: int = 16,
        bypass_rnn: bool = True,
        res_rnn: bool = True,
        drop_probs: tuple[float, float] = (0.6, 0.6),
        state_dropout: float = STATE_DROPOUT,
        first: int = 0,
    ) -> None:
        super().__init__()
        self.sources = tuple(sources)
        self.bypass_rnn, self.res_rnn, self.n_gaussians = bypass_rnn, res_rnn, n_gaussians
        self.ds_gaussians, self.ds_adaptation = ds_gaussians, ds_adaptation
        self.ds_smoothing, self.ds_bn, self.state_dropout = ds_smoothing, ds_bn, state_dropout
        norm = Norms(self.sources, specific=ds_bn)
        self.cnn = MobileNetV2(first=first)
        if n_gaussians:
            for name in self._names("coarse_gaussians", ds_gaussians):
                self.register_parameter(name, nn.Parameter(manual_gaussians()))
        self.post_cnn = Stage(1280 + n_gaussians, HIDDEN, 1, Norms((), specific=False))
        for layer in self.post_cnn.layers:
            if isinstance(layer, nn.BatchNorm2d):
                layer.momentum = OTHER_MOMENTUM
        if not (bypass_rnn and set(self.sources) == {"SALICON"}):
            self.rnn = Recurrent(norm, dropout=state_dropout)
            self.post_rnn = sequential(
                nn.Conv2d(HIDDEN, HIDDEN, 1, bias=False), norm(HIDDEN), nn.ReLU6()
            )
        self.skip_2x = Skip(160, 128, norm, dropout=drop_probs[0])
        self.skip_4x = Skip(64, 64, norm, dropout=drop_probs[1])
        self.upsampling_2 = Stage(HIDDEN + 128, 128, 2, norm)
        self.post_upsampling_2 = Stage(128 + 64, 64, 2, norm)
        for name in self._names("adaptation", ds_adaptation):
            self.add_module(name, nn.Sequential(nn.Conv2d(64, 1, 1)))
        for name in self._names("smoothing", ds_smoothing):
            self.add_module(name, smoothing_layer())
        for stage in (self.upsampling_2, self.post_upsampling_2):
            initialise(stage)

    def _names(self, part: str, specific: bool) -> list[str]:
        return [f"{part}_{source.lower()}" for source in self.sources] if specific else [part]

    def _name(self, part: str, specific: bool, domain: str) -> str:
        return f"{part}_{domain.lower()}" if specific else part

    def encode(self, x: Tensor, domain: str) -> tuple[Tensor, Tensor, Tensor]:
        """Frames `[N, 3, h, w]` -> still feature `[N, 256, h/32, w/32]`, skips at 1/16 and 1/8."""
        feature, tap_2x, tap_4x = self.cnn(x)
        if self.n_gaussians:
            parameter = self.get_parameter(
                self._name("coarse_gaussians", self.ds_gaussians, domain)
            )
            priors = gaussian_maps(parameter, feature.shape[-2:])
            feature = torch.cat([feature, priors.expand(x.shape[0], -1, -1, -1)], dim=1)
        feature = self.post_cnn(feature, domain)
        return feature, self.skip_2x(tap_2x, domain), self.skip_4x(tap_4x, domain)

    def recur(
        self,
        feature: Tensor,
        state: Tensor | None,
        *,
        lanes: int,
        domain: str,
        masks: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """The feature after the recurrence, and the lanes' states after the last frame."""
        states = self.rnn(feature, state, lanes=lanes, domain=domain, masks=masks)
        return self.after(feature, states, domain), states[-lanes:]

    def after(self, feature: Tensor, states: Tensor, domain: str) -> Tensor:
        """The feature that is decoded, of the still feature and the states `[N, 256, h, w]`."""
        past: Tensor = self.post_rnn(states, domain)
        return feature + past if self.res_rnn else past

    def decode(self, feature: Tensor, skip_2x: Tensor, skip_4x: Tensor, domain: str) -> Tensor:
        """Unnormalised log-saliency `[N, 1, h, w]` at the network's input size."""
        x = self.upsampling_2.upsampled(feature, skip_2x, domain)
        x = self.post_upsampling_2.upsampled(x, skip_4x, domain)
        smoothing = self.get_submodule(self._name("smoothing", self.ds_smoothing, domain))
        assert isinstance(smoothing, nn.Conv2d)
        adaptation = self.get_submodule(self._name("adaptation", self.ds_adaptation, domain))
        return smooth_upsampled(adaptation(x.to(smoothing.weight.dtype)), smoothing.weight)

    def keep_logits_exact(self) -> None:
        """Compute logits in float32 in any precision: their exponentials are the maps."""
        for name, module in self.named_children():
            if name.startswith(("adaptation", "smoothing")):
                module.float()

    @torch.inference_mode(mode=False)  # what is made in that mode cannot be exported
    def fused(self, domain: str) -> UNISAL:
        """An equivalent network for prediction in one domain alone, for channels-last memory."""
        fused: UNISAL = with_shared_weights(self)
        for sequence in fused.modules():
            if isinstance(sequence, DomainSequential):
                sequence.choose(domain)
        fuse(fused)
        fused.cnn.move_kernels()
        fused.upsampling_2.divide(HIDDEN)
        fused.post_upsampling_2.divide(128)
        return fused

    def is_static(self, domain: str, steps: int) -> bool:
        """Whether the recurrent part is skipped by default."""
        return steps == 1 or set(self.sources) == {"SALICON"}

    def forward(
        self,
        x: Tensor,
        state: Tensor | None = None,
        *,
        domain: str,
        static: bool | None = None,
        size: tuple[int, int] | None = None,
    ) -> tuple[Tensor, Tensor | None]:
        """Clips `[B, T, 3, h, w]` -> log-densities `[B, T, 1, H, W]` and the state after them.

        `exp` of a map sums to 1. `static` skips the recurrent part; by default it is skipped for
        single frames. `size` is `(H, W)`, by default the input's.
        """
        batch, steps = x.shape[:2]
        static = self.is_static(domain, steps) if static is None else static
        recurrent = not (static and self.bypass_rnn)
        masks = self.rnn.cell.dropout_masks() if recurrent and self.training else None
        # In training a batch norm's statistics are those of one time step, as published.
        in_time = x.transpose(0, 1)  # the clips are the lanes
        chunks = in_time.unbind() if self.training else [in_time.flatten(0, 1)]
        outputs = []
        for frames in chunks:
            feature, skip_2x, skip_4x = self.encode(frames, domain)
            if recurrent:
                feature, state = self.recur(feature, state, lanes=batch, domain=domain, masks=masks)
            logits = resize(self.decode(feature, skip_2x, skip_4x, domain), size)
            outputs.append(F.log_softmax(logits.flatten(1), dim=1).view_as(logits))
        log_density = torch.cat(outputs)
        return log_density.view(steps, batch, *log_density.shape[1:]).transpose(0, 1), state


class Step(nn.Module):
    """The network of one domain as a function of tensors, for one time step.

    Frames `[N, 3, h, w]` become logits `[N, 1, h, w]`; if it is recurrent, states `[N, 256, h/32,
    w/32]` become those after the frames.
    """

    def __init__(self, network: UNISAL, domain: str) -> None:
        super().__init__()
        self.network, self.domain = network, domain

    def forward(self, frames: Tensor, state: Tensor | None = None) -> tuple[Tensor, ...]:
        """Without a state, the recurrent part is skipped."""
        network, domain = self.network, self.domain
        feature, skip_2x, skip_4x = network.encode(frames, domain)
        if state is None:
            return (network.decode(feature, skip_2x, skip_4x, domain),)
        state = network.rnn.advance(feature, state, domain)
        feature = network.after(feature, state, domain)
        return network.decode(feature, skip_2x, skip_4x, domain), state


def resize(logits: Tensor, size: tuple[int, int] | None) -> Tensor:
    """Bilinear without antialiasing, as published; the identity if the size is the same."""
    if size is None or tuple(logits.shape[-2:]) == tuple(size):
        return logits
    return F.interpolate(logits, size=size, mode="bilinear", align_corners=False)


def gaussian_maps(parameters: Tensor, size: Sequence[int]) -> Tensor:
    """Prior maps `[K, h, w]` from `[K, (y, x), (mean, log sigma)]` (section 3.4 of the paper)."""
    sides = []
    for axis, length in enumerate(size):
        position = torch.linspace(0, 1, length, device=parameters.device, dtype=parameters.dtype)
        mean, sigma = parameters[:, axis, 0, None], parameters[:, axis, 1, None].exp()
        sides.append(torch.exp(-0.5 * ((position - mean) / sigma) ** 2))
    return PRIOR_GAIN * sides[0][:, :, None] * sides[1][:, None, :]


def manual_gaussians() -> Tensor:
    """Initial priors: 3 x 3 round ones, three wide, three tall, one over everything."""
    round_ones = [((y, x), (-1.5, -1.5)) for y in (0.25, 0.5, 0.75) for x in (0.25, 0.5, 0.75)]
    tall = [((0.5, x), (0.0, -1.5)) for x in (0.25, 0.5, 0.75)]
    wide = [((y, 0.5), (-1.5, 0.0)) for y in (0.25, 0.5, 0.75)]
    everything = [((0.5, 0.5), (0.0, 0.0))]
    rows = [*round_ones, *tall, *wide, *everything]
    return torch.tensor(rows).transpose(1, 2).contiguous()


def smoothing_layer() -> nn.Conv2d:
    """The 41 x 41 smoothing convolution, initialised as a Gaussian of sigma 5.41 pixels."""
    layer = nn.Conv2d(1, 1, SMOOTHING, bias=False)
    start = torch.tensor([[[0.5, SMOOTHING_LOG_SIGMA], [0.5, SMOOTHING_LOG_SIGMA]]])
    kernel = gaussian_maps(start, (SMOOTHING, SMOOTHING))
    layer.weight.data = (kernel / kernel.sum())[None]
    return layer


def smooth_upsampled(x: Tensor, kernel: Tensor) -> Tensor:
    """Nearest upsampling by 8, replicate padding by 20, 41 x 41 convolution: `[N,1,h,w]` -> x8.

    Under one output pixel the kernel sees at most 7 x 7 different source pixels, and which of its
    taps fall on which source pixel depends only on the output's phase (row and column modulo 8). So
    64 kernels of 7 x 7 on the small map give all phases at once.
    """
    reach = SMOOTHING // 2
    phase = torch.arange(UPSAMPLING, device=x.device)[:, None]
    tap = torch.arange(SMOOTHING, device=x.device)[None, :]
    offset = torch.div(phase + tap - reach, UPSAMPLING, rounding_mode="floor")
    radius = -(-reach // UPSAMPLING)
    share = F.one_hot(offset + radius, 2 * radius + 1).to(kernel.dtype)  # [8, 41, 7]
    kernels = torch.einsum("pua,uv,qvb->pqab", share, kernel[0, 0], share)
    padded = F.pad(x, (radius,) * 4, mode="replicate")
    return F.pixel_shuffle(F.conv2d(padded, kernels.flatten(0, 1)[:, None]), UPSAMPLING)


def initialise(stage: Stage) -> None:
    """Initialise a decoder block: normal with variance 2 / (kernel area x out channels)."""
    for layer in stage.layers:
        if isinstance(layer, nn.Conv2d):
            area = layer.kernel_size[0] * layer.kernel_size[1]
            nn.init.normal_(layer.weight, std=(2 / (area * layer.out_channels)) ** 0.5)

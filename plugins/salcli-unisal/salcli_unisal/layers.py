"""UNISAL's building blocks: domain-aware batch norms, sequences of layers, inverted residuals."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from torch import Tensor, nn

SHARED_MOMENTUM, STATIC_MOMENTUM, OTHER_MOMENTUM = 0.1, 0.1, 0.01
"""Batch-norm momentum: of norms shared by all domains, of the SALICON norms, of all others."""


class PlainNorm(nn.BatchNorm2d):
    """One batch norm for all domains."""

    def forward(self, x: Tensor, domain: str = "") -> Tensor:
        """`[N, C, h, w]` normalised; the domain makes no difference."""
        return super().forward(x)


class DomainNorm(nn.Module):
    """Domain-specific batch norm (section 3.2 of the paper): one complete batch norm per domain."""

    def __init__(self, channels: int, domains: Iterable[str]) -> None:
        super().__init__()
        for domain in domains:
            momentum = STATIC_MOMENTUM if domain == "SALICON" else OTHER_MOMENTUM
            self.add_module(f"bn_{domain}", nn.BatchNorm2d(channels, momentum=momentum))

    def forward(self, x: Tensor, domain: str) -> Tensor:
        """`[N, C, h, w]` normalised by the statistics of `domain`."""
        normalised: Tensor = self.get_submodule(f"bn_{domain}")(x)
        return normalised


class DomainSequential(nn.ModuleList):
    """A sequence of layers; domain-aware ones are passed the domain."""

    def forward(self, x: Tensor, domain: str = "", *, start: int = 0) -> Tensor:
        """Apply the layers from index `start` on to `[N, C, h, w]`."""
        for layer in list(self)[start:]:
            knows_domains = isinstance(layer, DomainNorm | PlainNorm)
            x = layer(x, domain) if knows_domains else layer(x)
        return x

    def choose(self, domain: str) -> None:
        """Keep the norms of one domain only."""
        for index, layer in enumerate(self):
            if isinstance(layer, DomainNorm):
                self[index] = layer.get_submodule(f"bn_{domain}")


def sequential(*layers: nn.Module) -> DomainSequential:
    """The layers as a `DomainSequential`."""
    return DomainSequential(layers)


class Norms:
    """Creates the batch norms of everything after the encoder, domain-specific or not."""

    def __init__(self, domains: Sequence[str], *, specific: bool) -> None:
        self.domains, self.specific = domains, specific

    def __call__(self, channels: int) -> nn.Module:
        """A new norm."""
        if self.specific:
            return DomainNorm(channels, self.domains)
        return PlainNorm(channels, momentum=SHARED_MOMENTUM)


def expansion(cin: int, cout: int, factor: int, norm: Norms) -> DomainSequential:
    """The layers of an inverted residual: 1x1 expansion (if any), 3x3 depthwise, 1x1 projection."""
    wide = cin * factor
    widen = [nn.Conv2d(cin, wide, 1, bias=False), norm(wide), nn.ReLU6()] if factor > 1 else []
    return sequential(
        *widen,
        nn.Conv2d(wide, wide, 3, padding=1, groups=wide, bias=False),
        norm(wide),
        nn.ReLU6(),
        nn.Conv2d(wide, cout, 1, bias=False),
        norm(cout),
    )

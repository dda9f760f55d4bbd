"""UNISAL's recurrent part: a convolutional GRU (section 3.3 of the paper)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from salcli_unisal.layers import Norms

__all__ = ["HIDDEN", "STATE_DROPOUT", "Recurrent"]

HIDDEN = 256
STATE_DROPOUT = 0.2


class SeparableConv(nn.Module):
    """3x3 depthwise, norm, ReLU6, 1x1."""

    def __init__(self, channels: int, norm: Norms) -> None:
        super().__init__()
        self.conv_dw = nn.Conv2d(channels, channels, 3, padding=1, groups=channels, bias=False)
        self.sep_bn = norm(channels)
        self.conv_sep = nn.Conv2d(channels, channels, 1, bias=False)

    def forward(self, x: Tensor, domain: str) -> Tensor:
        """`[N, C, h, w]` -> the same shape."""
        y: Tensor = self.conv_sep(F.relu6(self.sep_bn(self.conv_dw(x), domain)))
        return y


def scale(channels: int, value: float) -> nn.Parameter:
    """One trainable number per channel."""
    return nn.Parameter(torch.full((channels, 1, 1), float(value)))


class GRUCell(nn.Module):
    """Convolutional GRU whose transforms are separable, normalised and scaled (section 3.3)."""

    def __init__(self, channels: int, norm: Norms, *, dropout: float) -> None:
        super().__init__()
        self.w_r, self.w_z, self.w = (SeparableConv(channels, norm) for _ in range(3))
        self.u_r, self.u_z, self.u = (SeparableConv(channels, norm) for _ in range(3))
        self.norm_r_x, self.norm_z_x, self.norm_out_x = (norm(channels) for _ in range(3))
        self.norm_r_h, self.norm_z_h, self.norm_out_h = (norm(channels) for _ in range(3))
        self.a_r_x, self.a_z_x, self.a_h_x = (scale(channels, 1) for _ in range(3))
        self.a_r_h, self.a_z_h, self.a_h_h = (scale(channels, 1) for _ in range(3))
        self.b_r, self.b_z, self.b_h = (scale(channels, 0) for _ in range(3))
        # The published file happens to contain a mask; dropout draws its own.
        self.register_buffer("drop_mask_1", torch.ones(3, channels))
        self.dropout = dropout

    def input_paths(self, x: Tensor, domain: str) -> tuple[Tensor, Tensor, Tensor]:
        """The input's contributions to gates r, z and the candidate, for any number of frames."""
        return (
            self.norm_r_x(self.w_r(x, domain), domain) * self.a_r_x + self.b_r,
            self.norm_z_x(self.w_z(x, domain), domain) * self.a_z_x + self.b_z,
            self.norm_out_x(self.w(x, domain), domain) * self.a_h_x + self.b_h,
        )

    def dropout_masks(self) -> Tensor:
        """One mask per clip and gate, `[3, C, 1, 1]`, shared by the batch."""
        keep = 1 - self.dropout
        return torch.bernoulli(self.b_h.new_full((3, *self.b_h.shape), keep)) / keep

    def step(
        self, paths: Sequence[Tensor], state: Tensor, *, masks: Tensor | None, domain: str
    ) -> Tensor:
        """The next state, from a time step's input contributions and the state, `[N, C, h, w]`."""
        from_r, from_z, from_n = paths
        state_r, state_z, state_n = (
            (state, state, state) if masks is None else state * masks[:, None]
        )
        r = torch.sigmoid(from_r + self.norm_r_h(self.u_r(state_r, domain), domain) * self.a_r_h)
        z = torch.sigmoid(from_z + self.norm_z_h(self.u_z(state_z, domain), domain) * self.a_z_h)
        n = torch.tanh(from_n + r * (self.norm_out_h(self.u(state_n, domain), domain) * self.a_h_h))
        return torch.lerp(state, n, z)


class Recurrent(nn.Module):
    """The one-layer recurrent network under its published name `cell_list.0`."""

    def __init__(self, norm: Norms, *, dropout: float) -> None:
        super().__init__()
        self.cell_list = nn.ModuleList([GRUCell(HIDDEN, norm, dropout=dropout)])

    @property
    def cell(self) -> GRUCell:
        """The one layer."""
        cell = self.cell_list[0]
        assert isinstance(cell, GRUCell)
        return cell

    def advance(self, x: Tensor, state: Tensor, domain: str) -> Tensor:
        """The states after one time step of frames and states `[N, C, h, w]`, for prediction."""
        return self.cell.step(self.cell.input_paths(x, domain), state, masks=None, domain=domain)

    def forward(
        self,
        x: Tensor,
        state: Tensor | None,
        *,
        lanes: int,
        domain: str,
        masks: Tensor | None = None,
    ) -> Tensor:
        """States after each frame, `[N, C, h, w]`, for frames in temporal order.

        Frame k belongs to lane k modulo `lanes`; each lane is a recurrence of its own, so one step
        takes `lanes` frames at once. The last step may hold fewer. `state` is `[lanes, C, h, w]`
        after the frames before, `None` at the start; `masks` drop parts of it.
        """
        cell = self.cell
        paths = cell.input_paths(x, domain)
        last = x.new_zeros(lanes, *x.shape[1:]) if state is None else state
        states = []
        for start in range(0, len(x), lanes):
            step = [path[start : start + lanes] for path in paths]
            last = cell.step(step, last[: len(step[0])], masks=masks, domain=domain)
            states.append(last)
        return torch.cat(states)

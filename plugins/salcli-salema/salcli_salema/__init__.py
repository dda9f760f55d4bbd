"""SalEMA: "Simple vs complex temporal recurrences for video saliency prediction", BMVC 2019."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

from salcli import ModelSpec, ProtocolSpec, TrainedOn, Weights, hookimpl, option
from salcli_salema.architecture import BOTTLENECK, LAST, RESIDUAL_PLACES

if TYPE_CHECKING:
    import typer

__version__ = "0.1.0"

Variant: TypeAlias = Literal["ema", "clstm30", "clstm56", "static"]

CELL = 16
"""Four poolings halve the input's sides."""


@dataclass(frozen=True)
class Options:
    """The model's options.

    Raises:
        ValueError: Options exclude each other, or the network does not support a value.
    """

    variant: Literal["auto", Variant] = option(
        "auto",
        "recurrence: ema (moving average), clstm30 or clstm56 (ConvLSTM at the "
        "bottleneck or before the last convolutions), static (none); auto: inferred from the keys "
        "of the weights; ema if they fit both ema and static",
    )
    ema_loc: tuple[int, ...] = option(
        (BOTTLENECK,),
        "index of the layer (0 to 61) whose output is averaged over time; two, separated by a "
        "comma, for the double average",
    )
    alpha_logit: float | None = option(
        None,
        "logit of the average's weight, w = sigmoid(alpha_logit); overrides the weights file's; if "
        "the file has none, the default is 0.1, as in the published command",
    )
    ema_weight: tuple[float, ...] | None = option(
        None,
        "the average's weight itself, from 0 to 1, instead of alpha_logit (one value, or one for "
        "each layer); default of the double average: 0.3",
    )
    learn_alpha: bool = option(False, "training: learn alpha_logit and save it with the weights")
    alpha_start: float = option(0.25, "training: initial value of a learned alpha_logit")
    residual: bool = option(
        False, "add the input of the averaged layer (clstm30: of the cell) to its output"
    )
    dropout: Literal["training", "always", "never"] = option(
        "training",
        "when to drop half of the channels before the averaged layer; always makes each prediction "
        "random",
    )
    monte_carlo: int = option(
        0,
        "Monte-Carlo dropout: number of passes of which each map is the mean; what is dropped "
        "depends on frame and pass alone, and the standard deviation over the passes is the extra "
        "map deviation; 0: one pass, as the option dropout says",
        min=0,
    )
    clip_length: int = option(
        10, "training: number of frames through which gradients are back-propagated", min=1
    )
    input_size: tuple[int, int] = option(
        (192, 256), f"height,width of the network's input, multiples of {CELL}"
    )
    mode: Literal["fast", "frames"] = option(
        "fast",
        "fast: frames in batches, with fewer operations; frames: one by one, with the original's "
        "operators; the maps are the same",
    )

    def __post_init__(self) -> None:
        for complaint in self._complaints():
            raise ValueError(complaint)

    @property
    def drops(self) -> bool:
        """Whether predictions have dropout."""
        return self.dropout == "always" or self.monte_carlo > 0

    def _complaints(self) -> Iterable[str]:
        """What is wrong with these options."""
        places = list(self.ema_loc)
        known = all(0 <= place <= LAST for place in places)
        if not known or len(places) not in (1, 2) or places != sorted(set(places)):
            yield f"ema_loc must be one layer from 0 to {LAST}, or two in ascending order"
        if any(side < CELL or side % CELL for side in self.input_size):
            yield f"input_size must be two multiples of {CELL}"
        if self.variant in ("auto", "ema"):
            yield from self._average_complaints()
        else:
            yield from self._stranger_complaints()

    def _average_complaints(self) -> Iterable[str]:
        double, weights = len(self.ema_loc) == 2, self.ema_weight
        if weights is not None and self.alpha_logit is not None:
            yield "alpha_logit and ema_weight both set the weight of the average; use one of them"
        if weights is not None and not (
            len(weights) in (1, len(self.ema_loc)) and all(0 <= w <= 1 for w in weights)
        ):
            yield "ema_weight must be a number from 0 to 1, or one for each layer of ema_loc"
        if not all(map(math.isfinite, (self.alpha_logit or 0.0, self.alpha_start))):
            yield "alpha_logit and alpha_start must be finite numbers"
        if double and (self.alpha_logit is not None or self.learn_alpha):
            yield "the double average supports only ema_weight, not alpha_logit or learn_alpha"
        if double and (self.residual or self.drops):
            yield "the double average supports neither residual nor dropout in prediction"
        if self.residual and not double and self.ema_loc[0] not in RESIDUAL_PLACES:
            yield (
                f"layer {self.ema_loc[0]} changes the shape, so it cannot have a residual "
                f"connection; ema_loc may be {', '.join(map(str, sorted(RESIDUAL_PLACES)))}"
            )

    def _stranger_complaints(self) -> Iterable[str]:
        """Options of the average, given to another variant."""
        if self.alpha_logit is not None or self.ema_weight is not None or self.learn_alpha:
            yield f"variant {self.variant} has no moving average, so no alpha and no ema_weight"
        if self.drops:
            yield f"variant {self.variant} has no dropout"
        if self.residual and self.variant != "clstm30":
            yield f"variant {self.variant} has no residual connection"


FOLDER = "https://imatge.upc.edu/web/sites/default/files/projects/saliency/public/VideoSalGAN-II"
SALGAN = "https://imatge.upc.edu/web/sites/default/files/resources/1720/saliency/2017-salgan"
UNSTATED = "none stated by the authors; not for redistribution"
NO_HASH = "no hash was published; two thirds of the file are optimiser state"

WEIGHTS = (
    Weights(
        tag="salema30",
        urls=(f"{FOLDER}/SalEMA30.pt",),
        filename="SalEMA30.pt",
        licence=UNSTATED,
        trained_on=(TrainedOn("salicon"), TrainedOn("dhf1k")),
        note=f"{NO_HASH}; contains no alpha, so alpha_logit is 0.1 as in the published command",
    ),
    Weights(
        tag="salclstm30",
        urls=(f"{FOLDER}/SalCLSTM30.pt",),
        filename="SalCLSTM30.pt",
        licence=UNSTATED,
        trained_on=(TrainedOn("salicon"), TrainedOn("dhf1k")),
        note=NO_HASH,
    ),
    Weights(
        tag="salbce",
        urls=(f"{FOLDER}/SalBCE.pt",),
        filename="SalBCE.pt",
        options={"variant": "static"},
        licence=UNSTATED,
        trained_on=(TrainedOn("salicon"),),
        note=NO_HASH,
    ),
    Weights(
        tag="salgan",
        urls=(f"{SALGAN}/gen_modelWeights0090.npz",),
        filename="gen_modelWeights0090.npz",
        options={"variant": "static"},
        licence=UNSTATED,
        trained_on=(TrainedOn("salicon"),),
        note="no hash was published; the generator of SalGAN (2017), the origin of the others",
    ),
)

SALEMA = ModelSpec(
    name="salema",
    summary="video with a moving average in SalGAN's generator; also ConvLSTM and static variants",
    factory="salcli_salema.model:Salema",
    weights=WEIGHTS,
    options=Options,
    rounding="nearest",
    paper="P. Linardos, E. Mohedano, J. J. Nieto, N. E. O'Connor, X. Giro-i-Nieto, K. McGuinness: "
    "Simple vs complex temporal recurrences for video saliency prediction. BMVC 2019. "
    "https://arxiv.org/abs/1907.01869",
    year=2019,
    licence="code and weights: none stated by the authors",
    citation="""@inproceedings{linardos2019simple,
    author = {Linardos, Panagiotis and Mohedano, Eva and Nieto, Juan Jose and O'Connor, Noel E.
        and Giro-i-Nieto, Xavier and McGuinness, Kevin},
    title = {Simple vs complex temporal recurrences for video saliency prediction},
    booktitle = {Proceedings of the 30th British Machine Vision Conference (BMVC)},
    year = {2019},
}""",
    scores=(
        "DHF1K test, SalEMA (DHF1K benchmark): AUC-J 0.890, s-AUC 0.667, NSS 2.574, CC 0.449, "
        "SIM 0.466",
        "DHF1K val, SalEMA30 with dropout (authors' README): AUC-J 0.886, s-AUC 0.690, NSS 2.495, "
        "CC 0.450, SIM 0.360",
        "DHF1K val, SalCLSTM30 (authors' README): AUC-J 0.887, s-AUC 0.693, NSS 2.364, CC 0.435, "
        "SIM 0.322",
        "DHF1K val, SalBCE (authors' README): AUC-J 0.874, s-AUC 0.724, NSS 2.047, CC 0.382, "
        "SIM 0.268",
    ),
    card={
        "parameters": "31.79 million (SalCLSTM30: 50.66 million)",
        "cost": "39.95 billion multiply-adds per frame (SalCLSTM30: 43.57); 15.16 in mode fast "
        "(SalCLSTM30: 18.79)",
        "input": "BGR minus its mean, resized to 192x256 (height x width) whatever the frame's "
        "shape",
        "output": "each map stretched from its minimum (0) to its maximum (1), 192x256",
        "time": "one recurrent state through the whole clip; the first frame, like a still, has "
        "none",
    },
    comparisons={"frame-by-frame": {"mode": "frames"}},
)


@hookimpl
def register_models() -> Iterable[ModelSpec]:
    """SalEMA."""
    yield SALEMA


@hookimpl
def register_protocols() -> Iterable[ProtocolSpec]:
    """SalEMA's protocols."""
    yield ProtocolSpec("salema", "salcli_salema.protocol:SALEMA")
    yield ProtocolSpec("salema-area", "salcli_salema.protocol:SALEMA_AREA")


@hookimpl
def register_commands(app: typer.Typer) -> None:
    """`salcli salema`."""
    from salcli_salema.commands import group

    app.add_typer(group, name="salema")

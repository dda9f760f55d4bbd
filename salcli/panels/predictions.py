"""The maps of several models on one input, frame by frame, with their scores."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import ExitStack, closing
from functools import reduce
from pathlib import Path

import numpy as np

from salcli.errors import InputError
from salcli.gaze.groundtruth import FrameGroundTruth, read_ground_truth
from salcli.media.open import remaining
from salcli.models.loading import Loaded
from salcli.panels.board import ComparedFrame, ScoredMap
from salcli.panels.paired import PairedStimulus, open_paired
from salcli.plugins import registry
from salcli.prediction import loop
from salcli.protocols.scorer import by_defaults
from salcli.types import Kind, Result, Stimulus

__all__ = ["SCORES", "PairedPredictions"]

SCORES = ("CC", "SIM", "KLD", "NSS", "AUC-Judd")
"""The metrics that are shown, as far as they are registered."""


class PairedPredictions:
    """The ground truth of one input and the maps of several models.

    Attributes:
        pair: The input with its ground truth.
        problems: What is missing or could not be read; grows while frames are compared.

    Args:
        source: The input.
        models: Whose maps are compared; at least one.
        kind, fps: See `salcli.media.open.open_stimulus`.

    Raises:
        UsageError, InputError: See `salcli.media.open.open_stimulus`.
    """

    def __init__(
        self,
        source: Path,
        models: Sequence[Loaded],
        *,
        kind: Kind = "auto",
        fps: float | None = None,
    ) -> None:
        self._models = models
        accepts = reduce(frozenset.__and__, (loaded.model.spec.accepts for loaded in models))
        # each model reads the input by itself, at its own pace
        self._pairs = [open_paired(source, kind=kind, fps=fps, accepts=accepts) for _ in models]
        self.pair: PairedStimulus = self._pairs[0]
        self.problems = list(self.pair.problems)

    def frames(
        self, only: Sequence[str] | None = None, *, notice: Callable[[str], None]
    ) -> Generator[ComparedFrame, None, None]:
        """Every frame in order, lazily; of stills those labelled `only`.

        Raises:
            InputError, PluginError, SalcliError: See `salcli.prediction.loop.run`.
        """
        stimuli = [_selected(pair.stimulus, only) for pair in self._pairs]
        with ExitStack() as stack:
            runs = [
                stack.enter_context(
                    closing(
                        loop.run(loaded.model, stimulus, keep_frames=number == 0, notice=notice)
                    )
                )
                for number, (loaded, stimulus) in enumerate(zip(self._models, stimuli, strict=True))
            ]
            for results in zip(*runs, strict=True):
                yield self._compared(results)
        self.problems += stimuli[0].problems

    def _compared(self, results: Sequence[Result]) -> ComparedFrame:
        first = results[0]
        assert first.frame is not None  # keep_frames
        has_truth = self.pair.has_truth
        truth = self._truth(first.label, (first.frame.shape[0], first.frame.shape[1]))
        maps = [
            ScoredMap(
                loaded.label,
                result.saliency,
                result.extras,
                _scores(result, truth) if has_truth else {},
            )
            for loaded, result in zip(self._models, results, strict=True)
        ]
        name = first.label if self.pair.stimulus.labels else f"frame {first.label}"
        if first.time is not None:
            name += f"   {first.time:.2f} s"
        density = truth.density if truth else None
        return ComparedFrame(
            name,
            first.frame,
            density,
            has_truth,
            _note(truth),
            maps,
            index=first.index,
            label=first.label,
            time=first.time,
        )

    def _truth(self, label: str, size: tuple[int, int]) -> FrameGroundTruth | None:
        annotation = self.pair.truths.get(label)
        if annotation is None:
            return None
        try:
            return read_ground_truth(annotation, size)
        except InputError as error:
            self.problems.append(f"{error}; shown without ground truth")
            return None


def _selected(stimulus: Stimulus, only: Sequence[str] | None) -> Stimulus:
    return stimulus if only is None else remaining(stimulus, lambda label: label not in only)


def _note(truth: FrameGroundTruth | None) -> str:
    if truth is None or truth.fixations is None:
        return ""
    return f"{np.count_nonzero(truth.fixations)} fixated pixels"


def _scores(result: Result, truth: FrameGroundTruth | None) -> Mapping[str, float]:
    """Each shown metric at the frame's size; NaN where it is undefined or there is no truth."""
    names = [name for name in SCORES if name in registry.metrics()]
    return by_defaults(result.saliency, truth, names)

"""What several models and observers say of each frame of one input, frame by frame."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from functools import reduce
from pathlib import Path

import numpy as np

from salcli.errors import InputError
from salcli.loading import Loaded
from salcli.media.open import Kind, remaining
from salcli.panels.board import Rated, Shot
from salcli.panels.paired import FrameGroundTruth, Scene, open_scene, read_truth
from salcli.plugins import registry
from salcli.prediction import loop
from salcli.specs import resolve
from salcli.types import Result, Stimulus

__all__ = ["SCORES", "Camera", "Take"]

SCORES = ("CC", "SIM", "KLD", "NSS", "AUC-Judd")
"""The metrics that are shown, of those that are registered."""


@dataclass(frozen=True)
class Take:
    """One frame with everything that there is to show of it.

    Attributes:
        result: The first model's map, with label, time and frame.
        shot: What is drawn.
    """

    result: Result
    shot: Shot


class Camera:
    """Takes shots of one input.

    Attributes:
        scene: The input, with its ground truth.
        problems: What is missing or could not be read, filled while shots are taken.

    Args:
        source: The input.
        models: Their maps are shown.
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
        # each model reads for itself, at its own pace
        self._scenes = [open_scene(source, kind=kind, fps=fps, accepts=accepts) for _ in models]
        self.scene: Scene = self._scenes[0]
        self.problems = list(self.scene.problems)

    def stimulus(self, number: int, only: Sequence[str] | None) -> Stimulus:
        """What the model of this number looks at: of stills only the chosen ones."""
        stimulus = self._scenes[number].stimulus
        if only is None:
            return stimulus
        return remaining(stimulus, lambda label: label not in only)

    def takes(
        self, only: Sequence[str] | None = None, *, notice: Callable[[str], None]
    ) -> Generator[Take, None, None]:
        """A take of each frame, in order, lazily; of stills those labelled `only`.

        Raises:
            InputError, PluginError, SalcliError: See `salcli.prediction.loop.run`.
        """
        stimuli = [self.stimulus(number, only) for number in range(len(self._models))]
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
                yield Take(results[0], self._shot(results))
        self.problems += stimuli[0].problems

    def _shot(self, results: Sequence[Result]) -> Shot:
        first = results[0]
        if first.frame is None:
            raise ValueError("shots need results that carry their frame (keep_frames=True)")
        truth = self._truth(first.label, (first.frame.shape[0], first.frame.shape[1]))
        rated = [
            Rated(
                loaded.label,
                result.saliency,
                result.extras,
                _scores(result, truth) if self.scene.has_truth else {},
            )
            for loaded, result in zip(self._models, results, strict=True)
        ]
        name = first.label if self.scene.stimulus.labels else f"frame {first.label}"
        if first.time is not None:
            name += f"   {first.time:.2f} s"
        return Shot(
            name,
            first.frame,
            density=truth.density if truth else None,
            has_truth=self.scene.has_truth,
            truth_note=_note(truth),
            rated=rated,
        )

    def _truth(self, label: str, size: tuple[int, int]) -> FrameGroundTruth | None:
        annotation = self.scene.truths.get(label)
        if annotation is None:
            return None
        try:
            return read_truth(annotation, size)
        except InputError as error:
            self.problems.append(f"{error}; shown without ground truth")
            return None


def _note(truth: FrameGroundTruth | None) -> str:
    if truth is None or truth.fixations is None:
        return ""
    return f"{np.count_nonzero(truth.fixations)} fixated pixels"


def _scores(result: Result, truth: FrameGroundTruth | None) -> Mapping[str, float]:
    """Each shown metric at the frame's size; NaN where it is undefined or nothing is known."""
    known = registry.metrics()
    scores = {name: float("nan") for name in SCORES if name in known}
    if truth is None:
        return scores
    for name in scores:
        needed = truth.density if known[name].needs == "density" else truth.fixations
        if needed is not None:
            scores[name] = float(resolve(known[name].function)(result.saliency, needed))
    return scores

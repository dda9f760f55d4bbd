"""The maps of one input as a stream that can begin at any frame, whoever makes them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import islice
from typing import Any, Protocol

from salcli.models.loading import Loaded
from salcli.prediction import loop
from salcli.prediction.produce import first_needed
from salcli.types import Frame, Result, Size, Stimulus

__all__ = ["MapStream", "ModelMaps"]


class MapStream(Protocol):
    """Where the maps of inputs come from."""

    @property
    def label(self) -> str:
        """What it is called."""

    @property
    def accepts(self) -> frozenset[str]:
        """Which kinds of stimuli have maps: `stills`, `clips` or both."""

    def settings(self, stimulus: Stimulus) -> Mapping[str, Any]:
        """All that determines the maps of a stimulus, as it reads back from JSON."""

    def results(
        self, stimulus: Stimulus, first: int, *, size: Size, notice: Callable[[str], None]
    ) -> Iterator[Result]:
        """The map of each frame from the one at index `first` on, lazily, with the frame.

        Raises:
            InputError: A frame or its map cannot be read.
        """


class ModelMaps:
    """Maps that a model predicts on the fly, of the wanted size."""

    def __init__(self, loaded: Loaded) -> None:
        self._loaded = loaded
        self.label = loaded.label
        self.accepts = loaded.model.spec.accepts

    def settings(self, stimulus: Stimulus) -> Mapping[str, Any]:
        """The model, its weights and its options."""
        return self._loaded.settings()

    def results(
        self, stimulus: Stimulus, first: int, *, size: Size, notice: Callable[[str], None]
    ) -> Iterator[Result]:
        """See `MapStream.results` and `salcli.prediction.loop.run`."""
        model = self._loaded.model
        begin = first_needed(model, stimulus, first)
        rest = replace(stimulus, frames=_From(stimulus.frames, begin), first=begin)
        skip = first - begin
        yield from loop.run(
            model, rest, size=size, extras=False, keep_frames=True, skip=skip, notice=notice
        )


class _From:
    """Frames from one on; can be iterated again."""

    def __init__(self, frames: Iterable[Frame], first: int) -> None:
        self._frames, self._first = frames, first

    def __iter__(self) -> Iterator[Frame]:
        return islice(iter(self._frames), self._first, None)

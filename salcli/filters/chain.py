"""The filters that a user chose, with their options."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from salcli.blame import failures_of
from salcli.errors import PluginError, UsageError
from salcli.plugins import registry
from salcli.specs import FilterSpec, as_json, parse_options, resolve
from salcli.types import Frame, Prediction, Stimulus

if TYPE_CHECKING:
    Following: TypeAlias = Callable[[Stimulus], Iterator[Prediction]]

__all__ = ["Filter", "check_trainable", "choose", "trained_part"]


@dataclass(frozen=True)
class Filter:
    """A filter with its options; plain data, so that it can be sent to another process.

    Attributes:
        spec: Its description.
        options: An instance of `spec.options`, or `None`.
        distribution, version: Who brings it.
    """

    spec: FilterSpec
    options: Any
    distribution: str
    version: str

    @property
    def label(self) -> str:
        """What the user types: the name, and the options that are not the default."""
        defaults = as_json(self.spec.options() if self.spec.options else None)
        changed = {k: v for k, v in as_json(self.options).items() if v != defaults[k]}
        return ",".join([self.spec.name, *(f"{key}={value}" for key, value in changed.items())])

    def statement(self) -> dict[str, Any]:
        """Everything about it that determines maps, ready for JSON."""
        return {
            "name": self.spec.name,
            "options": as_json(self.options),
            "distribution": self.distribution,
            "version": self.version,
        }

    def predict(self, stimulus: Stimulus, following: Following) -> Iterator[Prediction]:
        """The predictions of the stimulus, changed; `following` gives those that it changes."""
        found: Iterator[Prediction] = resolve(self.spec.factory)(stimulus, following, self.options)
        return found


def choose(wanted: Sequence[str | Filter] | str) -> tuple[Filter, ...]:
    """The filters that texts such as `smooth,alpha=0.8` name; the first is the outermost.

    A value may contain commas, as in `NAME,key=1,2,other=3`.

    Raises:
        UnknownName, UsageError: There is no such filter or option, or it has no such value.
        PluginError: Two plugins register it.
    """
    texts = [wanted] if isinstance(wanted, str) else wanted
    return tuple(each if isinstance(each, Filter) else _parse(each) for each in texts)


def _parse(text: str) -> Filter:
    name, _, rest = text.partition(",")
    spec, plugin = registry.find_filter(name.strip())
    given: list[str] = []
    for part in rest.split(",") if rest else ():
        if "=" in part or not given:
            given.append(part)
        else:
            given[-1] += f",{part}"
    options = parse_options(spec, given, defaults={})
    return Filter(spec, options, plugin.distribution, plugin.version)


def check_trainable(filters: Sequence[Filter]) -> None:
    """Refuse filters that training does not apply.

    Raises:
        UsageError: There is one.
    """
    for each in filters:
        if not each.spec.trains:
            raise UsageError(
                f"filter '{each.spec.name}' changes predictions only, and cannot be trained with"
            )


def trained_part(filters: Sequence[Filter], frames: Sequence[Frame]) -> tuple[slice, slice]:
    """Rows and columns of the frames of a sample that training shows to the network.

    Args:
        filters: All of them can train; see `check_trainable`.
        frames: RGB uint8 `[H, W, 3]`, of one size.

    Raises:
        PluginError: A filter failed, or gave no part of the frames.
    """
    top, left = 0, 0
    bottom, right = frames[0].shape[:2]
    for each in filters:
        who = f"filter '{each.spec.name}'"
        inner = [frame[top:bottom, left:right] for frame in frames]
        with failures_of(who):
            part = resolve(each.spec.trains)(inner, each.options)
            first, last, start, stop = map(int, part)
        if not (0 <= first < last <= bottom - top and 0 <= start < stop <= right - left):
            raise PluginError(f"{who} gave {part}, which is no part of a frame, to train on")
        top, bottom, left, right = top + first, top + last, left + start, left + stop
    return slice(top, bottom), slice(left, right)

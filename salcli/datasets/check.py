"""Checks a dataset: counts its files, and finds missing, surplus and unreadable ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import Any

from salcli.datasets.collection import some
from salcli.errors import InputError
from salcli.gaze import groundtruth
from salcli.gaze.files import read
from salcli.media import mapvideo
from salcli.terminal.events import Watcher
from salcli.types import Annotation, Dataset, PublishedContents, Recording

__all__ = ["Finding", "Look", "SplitContents", "alike", "check"]

Size = tuple[int, int]


@dataclass(frozen=True)
class SplitContents:
    """Contents of one split.

    Attributes:
        split: Its name.
        recordings, frames: Number of recordings and of frames.
        densities, fixations: Number of frames with a density map, and with fixations.
        outside: Number of fixations outside their frame, in the files that were read.
        problems: What is missing or wrong, in order.
    """

    split: str
    recordings: int = 0
    frames: int = 0
    densities: int = 0
    fixations: int = 0
    outside: int = 0
    problems: Sequence[str] = ()

    @property
    def row(self) -> tuple[str | int, ...]:
        """Cells of a table; problems are only counted."""
        counts = (self.recordings, self.frames, self.densities, self.fixations, self.outside)
        return (self.split, *counts, len(self.problems))

    def document(self) -> dict[str, Any]:
        """Ready for JSON."""
        return asdict(self)


@dataclass
class Finding:
    """Contents of one recording: numbers as in `SplitContents`, and what is wrong."""

    frames: int = 0
    densities: int = 0
    fixations: int = 0
    outside: int = 0
    problems: list[str] = field(default_factory=list)


Look = Callable[[Recording, Watcher], Finding]
"""Looks at one recording."""


def check(
    dataset: Dataset,
    splits: Sequence[str] = (),
    *,
    every_file: bool = False,
    run: Callable[[Look, Sequence[Recording]], Sequence[Finding]],
) -> list[SplitContents]:
    """Check every recording of the given splits, or of all; each recording once.

    Args:
        dataset: The dataset.
        splits: Names of splits; empty for all.
        every_file: Read all files, not only those of the first and last frame of a clip.
        run: Looks at all recordings, by a function that other processes can be sent.

    Raises:
        UnknownName: There is no such split.
    """
    found: dict[str, tuple[Sequence[Recording], Sequence[str]]] = {}
    for split in splits or dataset.splits:
        known = len(dataset.problems)
        try:
            recordings = dataset.recordings(split)
        except InputError as error:
            found[split] = [], [str(error)]
            continue
        found[split] = recordings, dataset.problems[known:]
    todo = {each.name: each for recordings, _ in found.values() for each in recordings}
    published = dataset.frame_counts if isinstance(dataset, PublishedContents) else {}
    look = partial(_look, published=dict(published), every_file=every_file)
    findings = dict(zip(todo, run(look, list(todo.values())), strict=True))
    return [
        _sum(split, [findings[each.name] for each in recordings], problems)
        for split, (recordings, problems) in found.items()
    ]


def _sum(split: str, findings: Sequence[Finding], problems: Sequence[str]) -> SplitContents:
    return SplitContents(
        split,
        recordings=len(findings),
        frames=sum(each.frames for each in findings),
        densities=sum(each.densities for each in findings),
        fixations=sum(each.fixations for each in findings),
        outside=sum(each.outside for each in findings),
        problems=[
            *(line.removeprefix(f"{split}: ") for line in problems),
            *(line for each in findings for line in dict.fromkeys(each.problems)),
        ],
    )


def _look(
    recording: Recording, watcher: Watcher, *, published: Mapping[str, int], every_file: bool
) -> Finding:
    watcher.start(recording.name, 1)
    watcher.step()
    finding = Finding()
    try:
        count = finding.frames = len(recording.annotations)
    except InputError as error:
        finding.problems.append(f"{recording.name}: {error}")
        return finding
    _count(recording, finding, published)
    if every_file:
        finding.problems += _length(recording)
    looked = range(count) if every_file else sorted({0, count - 1} & set(range(count)))
    size: Size | None = None
    for index in looked:
        try:
            if size is None or recording.frames is not None:
                size = groundtruth.frame_size(recording, index)
            for problem in _misfits(recording.annotations[index], size, finding):
                finding.problems.append(f"{recording.name}: {problem}")
        except InputError as error:
            finding.problems.append(f"{recording.name}: {error}")
    return finding


def _count(recording: Recording, finding: Finding, published: Mapping[str, int]) -> None:
    """Count frames, maps and fixations; note missing and surplus ones."""
    annotations = recording.annotations
    lacking: dict[str, list[str]] = {"a map": [], "fixations": []}
    for annotation in annotations:
        for kind, path in (("a map", annotation.density), ("fixations", annotation.fixations)):
            if path is None:
                lacking[kind].append(annotation.label)
    counts = {kind: len(annotations) - len(labels) for kind, labels in lacking.items()}
    finding.densities, finding.fixations = counts["a map"], counts["fixations"]
    problems = [] if len(annotations) else [f"no frames in '{recording.source}'"]
    problems += [
        f"without {kind}: {some(labels)}"
        for kind, labels in lacking.items()
        if labels and counts[kind]
    ]
    if strays := getattr(annotations, "strays", ()):
        problems.append(f"of no frame: {some(strays)}")
    wanted = published.get(recording.name.rpartition("/")[2], len(annotations))
    if len(annotations) != wanted:
        problems.append(f"{len(annotations)} frames, {wanted} are published")
    finding.problems += [f"{recording.name}: {problem}" for problem in problems]


def _length(recording: Recording) -> list[str]:
    """A line if a video and its annotations differ in their number of frames."""
    annotations = recording.annotations
    framewise = all(annotation.index is None for annotation in annotations[:1])
    if not recording.is_clip or recording.frames is not None or not framewise:
        return []
    try:
        count = mapvideo.count_frames(recording.source)
    except InputError as error:
        return [f"{recording.name}: {error}"]
    if count == len(annotations):
        return []
    return [f"{recording.name}: the video has {count} frames, {len(annotations)} are annotated"]


def _misfits(annotation: Annotation, size: Size, finding: Finding) -> Iterator[str]:
    """Lines about files of another shape than the frame; counts fixations outside."""
    if annotation.density is not None:
        height, width = groundtruth.read_density(annotation, size).shape
        if not alike((height, width), size):
            yield _misfit(f"the map '{annotation.density}'", (height, width), size)
    if annotation.fixations is not None:
        stated = read(annotation).size
        if stated is not None and not alike(stated, size):
            yield _misfit(f"'{annotation.fixations}'", stated, size)
        outside = groundtruth.read_fixations(annotation, size).outside
        finding.outside += outside


def alike(one: Size, other: Size) -> bool:
    """Whether two sizes have the same aspect ratio, up to rounding."""
    return abs(one[0] * other[1] - one[1] * other[0]) <= max(*one, *other)


def _misfit(what: str, found: Size, frame: Size) -> str:
    return f"{what} is {found[1]}x{found[0]}, its frame {frame[1]}x{frame[0]}"

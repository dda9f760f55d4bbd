"""The shape of `scores.json`, from which its JSON Schema is made as well."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, NotRequired, TypedDict

from msgspec import Meta

from salcli.files.jsonfile import shaped
from salcli.specs import TrainedOn

__all__ = ["ScoresDocument", "checked"]

Count = Annotated[int, Meta(ge=0, le=2**53)]
Number = Annotated[float, Meta(ge=-1e100, le=1e100)]
"""Neither infinite nor so large that sums are."""


class IntervalDocument(TypedDict):
    mean: Annotated[Number | None, Meta(description="null where it is nowhere defined")]
    low: Annotated[Number | None, Meta(description="of the bootstrap interval")]
    high: Annotated[Number | None, Meta(description="of the bootstrap interval")]


MetricDocument = TypedDict(
    "MetricDocument",
    {
        "images": NotRequired[Annotated[IntervalDocument, Meta(description="mean over images")]],
        "frames": NotRequired[
            Annotated[IntervalDocument, Meta(description="mean over all frames")]
        ],
        "videos": NotRequired[
            Annotated[IntervalDocument, Meta(description="mean over means of videos")]
        ],
        "undefined": Annotated[Count, Meta(description="frames without a value")],
        "higher is better": bool,
    },
)

SpreadDocument = TypedDict(
    "SpreadDocument",
    {
        "of a frame": Annotated[Number | None, Meta(description="standard deviation")],
        "of the mean": Annotated[Number | None, Meta(description="standard deviation")],
        "frames": Annotated[Count, Meta(description="frames on which it was measured")],
    },
)


class VideoDocument(TypedDict):
    name: str
    group: str
    frames: Count
    means: Annotated[dict[str, Number | None], Meta(description="by metric")]
    defined: Annotated[dict[str, Count], Meta(description="frames with a value, by metric")]


DatasetDocument = TypedDict(
    "DatasetDocument",
    {
        "name": str,
        "edition": str,
        "split": str,
        "recordings": Count,
        "recordings scored": Count,
        "frames": Count,
        "frames chosen": Count,
        "frames scored": Count,
        "sha256 of the names of the frames chosen": str,
        "problems": list[str],
    },
)

TrainingDocument = TypedDict(
    "TrainingDocument",
    {
        "of the weights": Annotated[
            list[TrainedOn],
            Meta(description="what the weights were trained on; empty if that is unknown"),
        ],
        "recordings trained on": Annotated[
            Count | None,
            Meta(description="how many of the scored recordings; null if that is unknown"),
        ],
        "recordings that chose the epoch": Annotated[
            Count | None,
            Meta(description="how many others of the scored recordings; null if unknown"),
        ],
    },
)

GroundTruthDocument = TypedDict(
    "GroundTruthDocument",
    {
        "density": Annotated[
            dict[str, Count], Meta(description="number of density maps by where they came from")
        ],
        "fixations outside their frame": Count,
        "kernel": dict[str, Any],
        "information gain against": dict[str, Any] | None,
    },
)

ProtocolDocument = TypedDict(
    "ProtocolDocument",
    {
        "name": str,
        "version": str,
        "summary": str,
        "source": str,
        "averaging": list[str],
        "limit": Count | None,
        "preparation": dict[str, Any],
        "negatives": Annotated[str | None, Meta(description="of shuffled AUC, in words")],
        "seed": Count,
        "metrics": Annotated[
            dict[str, dict[str, Any]], Meta(description="definition and settings of each metric")
        ],
        "left out": Annotated[dict[str, str], Meta(description="metrics, and why")],
    },
)


class BootstrapDocument(TypedDict):
    """How the intervals were made."""

    level: Number
    draws: Count
    over: Literal["videos", "images"]
    seed: Count


class ProblemDocument(TypedDict):
    """One reason on one recording."""

    recording: str
    reason: str
    first: Annotated[str, Meta(description="label of the first frame, if it concerns frames")]
    frames: Count


ScoresDocument = TypedDict(
    "ScoresDocument",
    {
        "format": Literal["salcli-scores"],
        "version": Literal[1],
        "name": Annotated[str, Meta(description="of the model with its weights, or of the folder")],
        "predictions": Annotated[
            dict[str, Any],
            Meta(description="where the maps came from, their sizes, and the rounding to 8 bit"),
        ],
        "dataset": DatasetDocument,
        "training data": NotRequired[TrainingDocument],
        "warnings": NotRequired[
            Annotated[list[str], Meta(description="why the scores may mislead")]
        ],
        "ground truth": GroundTruthDocument,
        "protocol": ProtocolDocument,
        "bootstrap": BootstrapDocument,
        "scores": Annotated[dict[str, MetricDocument], Meta(description="by metric")],
        "random spread": NotRequired[
            Annotated[
                dict[str, SpreadDocument],
                Meta(description="how far other random numbers move a metric that draws some"),
            ]
        ],
        "groups": Annotated[
            dict[str, dict[str, dict[str, Number | None]]],
            Meta(description="means of each group of recordings, by way of averaging and metric"),
        ],
        "baselines": dict[str, dict[str, Any]],
        "skipped": list[ProblemDocument],
        "notes": list[ProblemDocument],
        "videos": Annotated[list[VideoDocument], Meta(description="the scored videos or images")],
        "versions": dict[str, str],
        "seconds": Number,
    },
)


def checked(value: Mapping[str, Any]) -> ScoresDocument:
    """The document, if it has this shape, a mean of each metric, and each metric on each video.

    Raises:
        ValueError: It has not; the message says where.
    """
    document = shaped(value, ScoresDocument)
    for metric, found in document["scores"].items():
        if not found.keys() & {"images", "frames", "videos"}:
            raise ValueError(f"no mean of {metric}")
        for video in document["videos"]:
            if metric not in video["means"] or metric not in video["defined"]:
                raise ValueError(f"no {metric} of {video['name']}")
        if metric not in document["protocol"]["metrics"]:
            raise ValueError(f"no settings of {metric}")
    return document

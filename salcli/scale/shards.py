"""Shards: several runs of one command, each of which takes its own part of the inputs."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from salcli.errors import UsageError

__all__ = ["Shard", "parse_shard"]

T = TypeVar("T")

SCHEDULERS = (
    ("RANK", "WORLD_SIZE"),  # torchrun
    ("SLURM_PROCID", "SLURM_NTASKS"),
    ("AWS_BATCH_JOB_ARRAY_INDEX", "AWS_BATCH_JOB_ARRAY_SIZE"),
    ("AWS_BATCH_JOB_NODE_INDEX", "AWS_BATCH_JOB_NUM_NODES"),
    ("JOB_COMPLETION_INDEX", "JOB_COMPLETIONS"),
)
"""Variables with the number of a process, from 0, and with how many there are.

Kubernetes sets only the first of its pair; the second must be set in the job's description.
"""


@dataclass(frozen=True)
class Shard:
    """One of several parts.

    Attributes:
        number: From 1.
        count: How many parts there are.
    """

    number: int
    count: int

    def part(self, items: Sequence[T]) -> Sequence[T]:
        """Its own items: every `count`-th, so that neighbours, which are alike, are spread."""
        return items[self.number - 1 :: self.count]

    def account(self, items: Sequence[T], what: str = "inputs") -> str:
        """A line about its own part of all items."""
        own = len(self.part(items))
        return f"shard {self}: {own} of {len(items)} {what}; the other shards must run, too"

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"


def parse_shard(text: str, environment: Mapping[str, str] = os.environ) -> Shard:
    """The shard that a text names: `2/8`, or `auto`, which asks the scheduler's variables.

    Args:
        text: As above.
        environment: Variables, as set by SLURM (arrays, tasks, and tasks of arrays), torchrun,
            Kubernetes' indexed jobs and AWS Batch's array and multi-node jobs.

    Raises:
        UsageError: It is neither, or there is no scheduler.
    """
    if text == "auto":
        return _of_scheduler(environment)
    found = re.fullmatch(r"(\d{1,9})/(\d{1,9})", text)
    if not found or not 1 <= int(found[1]) <= int(found[2]):
        raise UsageError(f"shard '{text}' is neither auto nor two numbers such as 2/8, from 1/8 on")
    return Shard(int(found[1]), int(found[2]))


def _of_scheduler(environment: Mapping[str, str]) -> Shard:
    for index, count in SCHEDULERS:
        if index in environment and count not in environment:
            raise UsageError(f"there is a variable {index}, but none {count}; set it")
    pairs = [
        (_number(environment, index), _number(environment, count))
        for index, count in SCHEDULERS
        if index in environment
    ][:1]
    if "SLURM_ARRAY_TASK_ID" in environment:
        pairs.insert(0, _of_array(environment))
    if not pairs:
        raise UsageError(
            "shard auto: no variables of SLURM, torchrun, Kubernetes or AWS Batch are set; name "
            "the shard, such as 2/8"
        )
    number, total = 0, 1
    for index_, count_ in pairs:
        if not 0 <= index_ < count_:
            raise UsageError(
                f"the scheduler's variables name process {index_} of {count_}; name the shard"
            )
        number, total = number * count_ + index_, total * count_
    return Shard(number + 1, total)


def _of_array(environment: Mapping[str, str]) -> tuple[int, int]:
    """Number, from 0, and count of the tasks of a SLURM array, whose IDs have one distance."""
    first = _number(environment, "SLURM_ARRAY_TASK_MIN")
    last = _number(environment, "SLURM_ARRAY_TASK_MAX")
    count = _number(environment, "SLURM_ARRAY_TASK_COUNT")
    place = _number(environment, "SLURM_ARRAY_TASK_ID") - first
    step = (last - first) // (count - 1) if count > 1 else 1
    if step * (count - 1) != last - first or place % step:
        raise UsageError("the IDs of the SLURM array are not evenly spaced; name the shard")
    return place // step, count


def _number(environment: Mapping[str, str], name: str) -> int:
    try:
        return int(environment[name])
    except (KeyError, ValueError):
        raise UsageError(f"the scheduler's variable {name} is no number; name the shard") from None

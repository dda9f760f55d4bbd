"""Models each of which breaks one law of the contract."""

from dataclasses import dataclass
from typing import Literal

from salcli import ModelSpec, Weights, hookimpl, option


@dataclass(frozen=True)
class Endless:
    size: dict[str, int]


@dataclass
class Loose:
    gain: float = 1.0


@dataclass(frozen=True)
class Path:
    path: Literal["plain", "recurrent"] = option("plain", "how maps are computed")


NAMES = (
    "too-few",
    "too-many",
    "reversed-stills",
    "reversed-clip",
    "float64",
    "three-dimensional",
    "out-of-range",
    "not-a-number",
    "wrong-extra",
    "no-prediction",
    "leaking",
    "buffering",
    "remembering",
    "eager",
    "batch-dependent",
    "random",
    "not-a-model",
    "missing-factory",
    "unhappy-recipe",
)

FACTORIES = {"not-a-model": "salcli_wrong:Loose", "missing-factory": "salcli_wrong.model:Nobody"}


@hookimpl
def register_models():
    for name in NAMES:
        default = f"salcli_wrong.model:{name.title().replace('-', '')}"
        yield ModelSpec(name, "wrong", FACTORIES.get(name, default))
    right = "salcli_wrong.model:Right"
    carrying = "salcli_wrong.model:Carrying"
    stills = frozenset({"stills"})
    yield ModelSpec("carrying", "wrong", carrying, options=Path, accepts=stills)
    yield ModelSpec("Bad Name", "wrong", right)
    yield ModelSpec("no-summary", "", right)
    yield ModelSpec("takes-nothing", "wrong", right, accepts=frozenset())
    yield ModelSpec("no-defaults", "wrong", right, options=Endless)
    yield ModelSpec("not-frozen", "wrong", right, options=Loose)
    twice = (Weights("a", resource="a", hash="sha256:" + 64 * "0"),) * 2
    yield ModelSpec("same-tag", "wrong", right, weights=twice)
    yield ModelSpec("no-hash", "wrong", right, weights=(Weights("a", ("https://a/b",)),))
    yield ModelSpec("bad-hash", "wrong", right, weights=(Weights("a", ("https://a/b",), "md5:1"),))
    yield ModelSpec("no-source", "wrong", right, weights=(Weights("a", note="nobody has it"),))
    unknown = (Weights("a", ("https://a/b",), note="unknown", options={"colour": "red"}),)
    yield ModelSpec("unknown-option", "wrong", right, weights=unknown)

"""Models each of which breaks one law of the contract."""

from dataclasses import dataclass
from functools import partial
from typing import Literal

import salcli
from salcli import Weights, hookimpl, option


@dataclass(frozen=True)
class Endless:
    size: dict[str, int]


@dataclass(frozen=True)
class Mistyped:
    size: int = option("large", "of the network's input")


@dataclass(frozen=True)
class Silent:
    gain: float = 1.0


@dataclass
class Loose:
    gain: float = 1.0


@dataclass(frozen=True)
class Path:
    path: Literal["plain", "recurrent"] = option("plain", "how maps are computed")


ModelSpec = partial(salcli.ModelSpec, licence="MIT")
row = partial(Weights, licence="MIT")

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
    "unnamed-loss",
    "failing-loss",
    "hidden-layers",
    "past-the-hook",
    "elsewhere",
    "failing-clips",
    "cut-off",
    "endless-gradient",
    "only-float32",
    "large-and-leaking",
    "negative",
    "infinite",
    "no-tensor",
    "no-generator",
    "in-training",
    "seeding",
    "drawing",
    "touching",
    "stranded",
    "stranded-chunks",
    "nothing-built",
    "unknown-optimiser",
    "many-losses",
    "misspelt-groups",
)

FACTORIES = {
    "not-a-model": "salcli_wrong:Loose",
    "missing-factory": "salcli_wrong.model:Nobody",
}


@hookimpl
def register_models():
    for name in NAMES:
        default = f"salcli_wrong.model:{name.title().replace('-', '')}"
        yield ModelSpec(name, "wrong", FACTORIES.get(name, default))
    right = "salcli_wrong.model:Right"
    carrying = "salcli_wrong.model:Carrying"
    stills = frozenset({"stills"})
    yield ModelSpec("carrying", "wrong", carrying, options=Path, accepts=stills)
    yield ModelSpec("short-sighted", "wrong", "salcli_wrong.model:Trailing", context=0)
    yield ModelSpec("far-reaching", "right", "salcli_wrong.model:Trailing", context=1)
    yield ModelSpec("Bad Name", "wrong", right)
    yield ModelSpec("two-lines", "wrong\nvery", right)
    yield ModelSpec("takes-sound", "wrong", right, accepts=frozenset({"sounds"}))
    yield ModelSpec("mistyped", "wrong", right, options=Mistyped)
    yield ModelSpec("no-help", "wrong", right, options=Silent)
    yield ModelSpec("no-summary", "", right)
    yield ModelSpec("takes-nothing", "wrong", right, accepts=frozenset())
    yield ModelSpec("no-defaults", "wrong", right, options=Endless)
    yield ModelSpec("not-frozen", "wrong", right, options=Loose)
    yield ModelSpec("no-file", "wrong", "salcli_wrong.model:Filed")
    yield ModelSpec("far-sighted", "right", "salcli_wrong.model:FarSighted")
    yield ModelSpec("fixed", "right", "salcli_wrong.model:Fixed", precisions=("float32",))
    yield ModelSpec("flat", "right", "salcli_wrong.model:Flat", precisions=("float32",))
    twice = (row("a", resource="a", hash="sha256:" + 64 * "0"),) * 2
    yield ModelSpec("same-tag", "wrong", right, weights=twice)
    yield ModelSpec("bad-tag", "wrong", right, weights=(row("My Own", ("https://a/b",)),))
    yield ModelSpec("no-hash", "wrong", right, weights=(row("a", ("https://a/b",)),))
    yield ModelSpec("bad-hash", "wrong", right, weights=(row("a", ("https://a/b",), "md5:1"),))
    yield ModelSpec("no-source", "wrong", right, weights=(row("a", note="nobody has it"),))
    unknown = (row("a", ("https://a/b",), note="unknown", options={"colour": "red"}),)
    yield ModelSpec("unknown-option", "wrong", right, weights=unknown)
    yield ModelSpec("no-licence", "wrong", right, licence="")
    bare = (Weights("a", ("https://a/b",), note="unknown"),)
    yield ModelSpec("no-weights-licence", "wrong", right, weights=bare)
    nameless = (row("a", ("scheme://file",), note="unknown"),)
    yield ModelSpec("no-file-name", "wrong", right, weights=nameless)
    absent = (row("a", resource="absent.pt", hash="sha256:" + 64 * "0"),)
    yield ModelSpec("no-resource", "wrong", right, weights=absent)

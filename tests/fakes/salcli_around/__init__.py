"""A plugin with filters: one that works, and others that fail in ways of their own."""

from dataclasses import dataclass

from salcli import FilterSpec, hookimpl, option


@dataclass(frozen=True)
class Factor:
    factor: float = option(0.5, "of the maps", min=0)
    keys: tuple[int, ...] = option((1,), "of nothing")


@hookimpl
def register_filters():
    place = "salcli_around.around"
    yield FilterSpec("dim", "darker maps", f"{place}:dim", options=Factor)
    yield FilterSpec("odd", "gives odd maps", f"{place}:odd", trains=f"{place}:outside")
    yield FilterSpec("late", "fails late", f"{place}:late")
    yield FilterSpec("first", "gives one map only", f"{place}:first")
    yield FilterSpec("bright", "gives values above 1", f"{place}:bright")

"""Two models of a few numbers that can be trained, and be told to fail on the way."""

from dataclasses import dataclass, field

from salcli import ModelSpec, hookimpl


@dataclass(frozen=True)
class Options:
    frames_per_pass: int = field(default=0, metadata={"help": "then goes backward; 0: at the end"})


@hookimpl
def register_models():
    yield ModelSpec(
        "little", "remembers", "salcli_little.model:Little", options=Options, licence="MIT"
    )
    yield ModelSpec("tiny", "sees stills", "salcli_little.model:Tiny", licence="MIT")

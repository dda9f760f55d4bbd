"""Steps that several commands share: check what was asked for, load models, run each input."""

from __future__ import annotations

import gc
import os
import sys
import tempfile
from collections.abc import Callable, Iterable, Sequence
from contextlib import nullcontext, redirect_stdout
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO, TypeVar

from salcli.errors import InputError, PluginError, SalcliError, UsageError, WeightsError
from salcli.plugins import registry
from salcli.specs import parse_options
from salcli.terminal.progress import Style, download_bar, watch

if TYPE_CHECKING:
    from salcli import types
    from salcli.models.loading import Loaded
    from salcli.prediction.mapstream import MapStream
    from salcli.scale.choice import Workforce
    from salcli.scale.functions import FunctionOrder
    from salcli.scale.shards import Shard
    from salcli.terminal.events import Watcher

__all__ = [
    "check_exist",
    "check_model",
    "check_writable",
    "each_file",
    "each_input",
    "introduction",
    "known_limits",
    "load_models",
    "local_inputs",
    "map_stream",
    "parsed_shard",
    "rebuilding",
    "results_apart",
    "workforce",
]

AGAIN = "\nsalcli: error: "
"""Between several errors that end a command together."""

SPINS = "1000"
"""How often a thread of OpenMP looks for work before it sleeps: GNU's own number where threads are
more than cores, as they are here, with decoders and encoders beside them."""

Input = TypeVar("Input")
Done = TypeVar("Done")


def each_input(
    inputs: Iterable[Input],
    run: Callable[[Input], Done],
    *,
    failed: Callable[[Input, str], Done],
    watcher: Watcher,
) -> list[Done]:
    """Run every input; the error of one is reported, and the others still run.

    Args:
        inputs: What to run.
        run: Runs one input.
        failed: Makes the result of an input that raised an error with this message.
        watcher: Shows the errors.

    Raises:
        PluginError: A plugin or model is broken, so every other input would fail, too.
    """

    def attempt(one: Input) -> Done:
        try:
            return run(one)
        except PluginError:
            raise
        except SalcliError as error:
            watcher.fail(str(error))
            return failed(one, str(error))

    with results_apart():
        return [attempt(one) for one in inputs]


def results_apart() -> redirect_stdout[TextIO]:
    """Keep what plugins print meanwhile from stdout, which has results, such as JSON."""
    return redirect_stdout(sys.stderr)


def check_writable(output: Path) -> None:
    """Refuse an unwritable output folder before any work is done; creates nothing.

    Raises:
        OutputError: It cannot be written.
        UsageError: It is an address, not a folder.
    """
    from salcli.files.atomic import reporting_os_errors
    from salcli.media.inputs import is_address

    if is_address(str(output)):
        raise UsageError(f"'{output}' is an address; results are written to a folder")
    output = output.absolute()
    existing = next(path for path in (output, *output.parents) if path.exists())
    with reporting_os_errors(output), tempfile.TemporaryFile(dir=existing, prefix=".salcli-"):
        pass


def workforce(
    device: str,
    devices: Sequence[str] | None,
    *,
    workers: int | None,
    cluster: str | None,
    quiet: bool,
    verbose: bool,
) -> Workforce | None:
    """Who does the work instead of this process, if the user wants any; see `choose`."""
    if workers is None and not devices and cluster is None:
        return None

    from salcli.scale.choice import choose

    return choose(
        device, devices or (), workers=workers, cluster=cluster, quiet=quiet, verbose=verbose
    )


def parsed_shard(text: str | None) -> Shard | None:
    """The shard that the user wants; see `salcli.scale.shards.parse_shard`."""
    if text is None:
        return None

    from salcli.scale.shards import parse_shard

    return parse_shard(text)


def each_file(
    order: FunctionOrder[Input, Done],
    units: Sequence[Input],
    *,
    workers: int | None,
    cluster: str | None,
    quiet: bool,
    shard: str | None = None,
) -> list[Done]:
    """Do an order that needs no model, here or by the workers that the user wants.

    Raises:
        UsageError: There is no such cluster or shard.
    """
    from salcli.scale.executor import Here

    part = parsed_shard(shard)
    todo = part.part(units) if part else units
    force = workforce("cpu", None, workers=workers, cluster=cluster, quiet=quiet, verbose=False)
    executor = force.executor if force else Here(order.begin("cpu"))
    with watch(len(todo), quiet=quiet) as watcher, results_apart():
        if part:
            watcher.note(part.account(units))
        return executor.run(order, todo, watcher=watcher)


def introduction(loaded: Loaded) -> str:
    """A line that names the model, its weights, device and precision."""
    model = loaded.model
    text = f"model {loaded.label}"
    if loaded.digest is not None:
        text += f" (sha256 {loaded.digest[:12]}...)"
    return f"{text} on {model.device}, {str(model.precision).removeprefix('torch.')}"


def known_limits(loaded: Loaded) -> list[str]:
    """A line about what the model's weights are bad at, if anything is known."""
    return [f"note: {loaded.label} {loaded.known_limits}"] if loaded.known_limits else []


def check_model(name: str, option: Sequence[str] | None, *, weights: Path | None) -> None:
    """Refuse a model, a tag or options that do not exist, before anything heavy is imported.

    Raises:
        UnknownName, UsageError: There are none of this name, or a value does not fit.
        WeightsError: There is no weights file.
    """
    from salcli.weights.trained import chosen

    name, found = chosen(name, weights)
    weights = None if found is None else Path(found)
    spec, row = registry.model(name)
    if weights is not None and not weights.exists():
        raise WeightsError(f"there is no weights file '{weights}'; check the spelling")
    needs = row.options if row and (weights is None or ":" in name) else {}
    parse_options(spec, option or (), defaults=needs)


def local_inputs(
    inputs: Sequence[str],
    folder: Path,
    *,
    offline: bool,
    quiet: bool,
    progress: Style,
    files_only: bool = True,
) -> list[str]:
    """The inputs as files, those at addresses and on standard input too; see `check_exist`.

    Unless there must be `files_only`, addresses in object stores, cameras and streams stay.

    Raises:
        InputError: There is nothing at any of them.
    """
    from salcli.media.remote import is_url, make_local

    problems: list[str] = []
    remote = any(map(is_url, inputs))
    with download_bar("inputs", quiet=quiet, style=progress) if remote else nullcontext() as report:
        found = make_local(
            inputs,
            folder,
            offline=offline,
            failed=problems.append,
            report=report or (lambda *_: None),
        )
    if problems and not found:
        raise InputError(AGAIN.join(problems))
    for problem in problems:
        watch(1, quiet=quiet, style=progress).fail(problem)
    if files_only:
        check_exist(found)
    return found


def check_exist(inputs: Sequence[str]) -> None:
    """Refuse inputs none of which exists, before anything heavy is imported.

    Raises:
        InputError: There is nothing at any of them.
    """
    from salcli.media.open import find_inputs, open_stimulus

    paths = find_inputs(inputs)
    if any(path.exists() for path in paths):
        return
    problems = []
    for path in paths:
        try:
            open_stimulus(path)
        except InputError as error:
            problems.append(str(error))
    if problems:
        raise InputError(AGAIN.join(problems))


def load_models(
    names: Sequence[str] | None,
    *,
    option: Sequence[str] | None,
    weights: Path | None,
    filters: Sequence[str] | None,
    device: str,
    offline: bool,
    quiet: bool,
    precision: types.Precision = "auto",
    batch_size: int | None = None,
    engine: str = "torch",
    untrained: bool = False,
    progress: Style = "auto",
) -> list[Loaded]:
    """Load the named models, or the default one; says so first, and shows downloads.

    Raises:
        UnknownName, UsageError: No such model, tag, option, filter or device; or an option for one
            model is given with several.
        WeightsError: The weights could not be obtained, verified or loaded.
    """
    chosen = _chosen(names)
    if len(chosen) > 1 and (weights or option):
        raise UsageError("--weights and --option belong to one model, but --model names several")
    for name in chosen:
        check_model(name, option, weights=weights)  # before any of them is downloaded
    watch(1, quiet=quiet, style=progress).note(f"loading {', '.join(chosen)} ...")

    if "torch" not in sys.modules:
        _import_torch()
    from salcli.models.loading import load_model

    loaded = []
    for name in chosen:
        with results_apart(), download_bar(name, quiet=quiet, style=progress) as report:
            loaded.append(
                load_model(
                    name,
                    options=option or (),
                    weights_file=weights,
                    filters=filters or (),
                    device=device,
                    precision=precision,
                    batch_size=batch_size,
                    engine=engine,
                    offline=offline,
                    untrained=untrained,
                    report=report,
                )
            )
    return loaded


def rebuilding(
    names: Sequence[str] | None,
    loaded: Sequence[Loaded],
    *,
    option: Sequence[str] | None,
    weights: Path | None,
    filters: Sequence[str] | None,
    offline: bool,
    precision: types.Precision = "auto",
    untrained: bool = False,
) -> list[dict[str, Any]]:
    """Arguments of `salcli.models.loading.load_model` that load the same models elsewhere.

    They have the batch size, on which last bits of the maps depend.
    """
    return [
        {
            "name": name,
            "options": option or (),
            "weights_file": weights,
            "filters": filters or (),
            "precision": precision,
            "batch_size": one.model.batch_size,
            "engine": one.model.engine_name,
            "offline": offline,
            "untrained": untrained,
        }
        for name, one in zip(_chosen(names), loaded, strict=True)
    ]


def _chosen(names: Sequence[str] | None) -> list[str]:
    return list(dict.fromkeys(names or [registry.DEFAULT_MODEL]))


def _import_torch() -> None:
    """Import what loads models; to search all that for garbage would take a third of the time."""
    os.environ.setdefault("GOMP_SPINCOUNT", SPINS)
    gc.disable()
    try:
        import_module("salcli.models.loading")
    finally:
        gc.freeze()
        gc.enable()


def map_stream(predictions: Path | None, model: str, **loading: Any) -> tuple[MapStream, list[str]]:
    """Stored maps, or those of a model (see `load_models`), with lines that introduce them.

    Raises:
        InputError: There are no stored maps.
        UnknownName, UsageError, WeightsError: See `load_models`.
    """
    if predictions is not None:
        from salcli.scoring.replay import StoredStream

        stored = StoredStream(predictions)
        return stored, [stored.label]
    (loaded,) = load_models([model], **loading)

    from salcli.prediction.mapstream import ModelMaps

    return ModelMaps(loaded), [introduction(loaded), *known_limits(loaded)]

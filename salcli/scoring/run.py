"""`salcli.score`: scores models and stored maps on a dataset, and writes a report for each."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

from salcli import devices
from salcli.datasets.open import open_dataset
from salcli.errors import InputError
from salcli.models.loading import Loaded, load_model
from salcli.plugins import registry
from salcli.prediction.claims import ClaimedElsewhere, claimed
from salcli.prediction.manifest import CLAIM
from salcli.scoring import plots
from salcli.scoring.compare import pair
from salcli.scoring.finished import FinishedParts, ScoredPart
from salcli.scoring.hdf5maps import stored_maps
from salcli.scoring.joint import joined
from salcli.scoring.predicted import PredictedMaps
from salcli.scoring.results import Problem
from salcli.scoring.session import Baselines, Session, folder_names, open_session
from salcli.scoring.sources import MapSource
from salcli.terminal.progress import Watcher
from salcli.types import Dataset

__all__ = ["predicted_maps", "report_folders", "score", "score_sources"]

LINES = 10
"""Number of problems that are shown; the report has them all."""


class Warnings(Watcher):
    """Turns every problem into a `RuntimeWarning`."""

    def say(self, line: str) -> None:
        """Warn."""
        text = line.removeprefix("salcli: error: ").removeprefix("salcli: warning: ")
        warnings.warn(text, RuntimeWarning, stacklevel=2)


def score(
    data: str | Dataset,
    *,
    models: str | Loaded | Sequence[str | Loaded] = (),
    predictions: str | Path | Sequence[str | Path] = (),
    roots: Sequence[str | Path] = (),
    data_options: Mapping[str, Any] | None = None,
    split: str | None = None,
    options: Mapping[str, Any] | None = None,
    weights: str | Path | None = None,
    device: str = "auto",
    offline: bool = False,
    protocol: str | None = None,
    metrics: Sequence[str] = (),
    baselines: Baselines = "quick",
    limit: int | None = None,
    seed: int = 0,
    save_maps: str | Path | None = None,
    output: str | Path = "scores",
    plot: Literal["png", "pdf", "svg"] = "png",
    overwrite: bool = False,
) -> list[dict[str, Any]]:
    """Score maps against a dataset by a published protocol, as `salcli score` does.

    Args:
        data: The dataset, or its name.
        models: Names of models, or loaded ones; the default model if there are no `predictions`.
        predictions: Folders of maps that anyone made, found by the names of clips and frames, or
            HDF5 files of pysaliency.
        roots: Folders of the dataset; by default the one that its environment variable names.
        data_options: Options of the dataset.
        split: Part of the dataset; by default the one that is usually scored.
        options: Options of the models that are given by name.
        weights: A weights file for the models that are given by name.
        device: Where models, and metrics on a GPU, run: `auto`, `cpu`, `cuda`, `cuda:N`, `mps`.
        offline: Never use the network.
        protocol: Name; by default `ntire` for AViMoS, `dhf1k` for clips, `mit` for images.
        metrics: Names, or `all`; by default those of the protocol's tables.
        baselines: Measure the baselines on some frames, on all, or not at all.
        limit: Maximum number of frames, drawn at random.
        seed: Random seed.
        save_maps: A folder that receives the models' maps as 8-bit PNG.
        output: Folder of the reports; each has a folder of its own below.
        plot: Format of the plots.
        overwrite: Replace scores of other maps, data or protocol.

    Returns:
        The content of each report's `scores.json`, models first. What is wrong with single frames
        is a `RuntimeWarning`, and so is a source of maps that could not be scored if others could,
        or whose model was trained on the data.

    Raises:
        UnknownName, UsageError: There is no such name or option, or the request makes no sense.
        InputError: The dataset is not there, or nothing could be scored.
        OutputError: A folder cannot be written.
        WeightsError: Weights could not be obtained, verified or loaded.
        PluginError: A model or plugin is broken.
    """
    loading: dict[str, Any] = {
        "options": options or {},
        "weights_file": Path(weights) if weights else None,
        "device": device,
        "offline": offline,
    }
    folders = [predictions] if isinstance(predictions, str | Path) else predictions
    stored = [stored_maps(Path(folder)) for folder in folders]
    dataset = data
    if isinstance(dataset, str):
        dataset = open_dataset(dataset, [Path(r) for r in roots], options=data_options or {})
    session = open_session(
        dataset,
        split=split,
        protocol=protocol,
        metrics=metrics,
        seed=seed,
        limit=limit,
        baselines=baselines,
        device=devices.for_metrics(device),
    )
    named = [models] if isinstance(models, str | Loaded) else models
    loaded = [
        each if isinstance(each, Loaded) else load_model(each, **loading)
        for each in named or ([] if stored else [registry.DEFAULT_MODEL])
    ]
    watcher = Warnings()
    save = Path(save_maps) if save_maps else None
    sources = [*predicted_maps(loaded, dataset.name, watcher, save=save), *stored]
    documents = score_sources(
        session, sources, Path(output), overwrite=overwrite, watcher=watcher, plot=plot
    )
    if not documents:
        raise InputError("nothing could be scored; the warnings say why")
    return documents


def predicted_maps(
    models: Sequence[Loaded], data: str, watcher: Watcher, *, save: Path | None = None
) -> list[PredictedMaps]:
    """The maps that each model predicts for a dataset; below `save`, several models get folders."""
    folders = folder_names([loaded.label for loaded in models])
    return [
        PredictedMaps(
            loaded.for_dataset(data),
            watcher,
            save=save / folder if save and len(models) > 1 else save,
        )
        for loaded, folder in zip(models, folders, strict=True)
    ]


def score_sources(
    session: Session,
    sources: Sequence[MapSource],
    output: Path,
    *,
    overwrite: bool,
    watcher: Watcher,
    plot: str = "png",
    parts: Mapping[Path, Sequence[ScoredPart]] = MappingProxyType({}),
) -> list[dict[str, Any]]:
    """Score each source into a folder of its own below `output`, and plot them side by side.

    A source that cannot be scored is reported to the watcher; the others are scored. `plot` is one
    of `plots.FORMATS`. Of a folder that is cut into `parts` nothing is scored here; there is no
    report before all of them are scored.

    Raises:
        UsageError: A folder holds scores of something else, or a model does not take the data.
        OutputError: A folder cannot be written.
        PluginError: A model broke its contract.
    """
    folders = report_folders(session, sources, output, overwrite=overwrite)
    documents = []
    for source, folder in zip(sources, folders, strict=True):
        try:
            for line in session.seen(source).warnings(session.selection.dataset.name):
                watcher.say(f"salcli: warning: {source.label}: {line}")
            if folder in parts:
                document = _joined(session, source, parts[folder], watcher, plot=plot)
            else:
                document = session.run(source, folder, watcher, plot=plot)
        except ClaimedElsewhere as error:
            watcher.note(f"{source.label}: no report yet; {error}")
            continue
        except InputError as error:
            watcher.fail(str(error))
            continue
        documents.append(document)
        _report_problems(document, watcher)
        watcher.finish(f"{source.label}: {folder}, {document['seconds']:.1f} s")
    if documents[1:]:
        _write_together(documents, output, plot=plot)
    return documents


def report_folders(
    session: Session, sources: Sequence[MapSource], output: Path, *, overwrite: bool
) -> list[Path]:
    """The folder of each source's report.

    Raises:
        UsageError: A folder holds scores of something else, unless these may be overwritten.
    """
    folders = [output / name for name in folder_names([source.label for source in sources])]
    for source, folder in zip(sources, folders, strict=True):
        if not overwrite:
            session.check_free(source, folder)
    return folders


def _joined(
    session: Session, source: MapSource, parts: Sequence[ScoredPart], watcher: Watcher, *, plot: str
) -> dict[str, Any]:
    """The report of parts; one process writes it.

    Raises:
        ClaimedElsewhere: Others write it, or have not scored all parts yet.
    """
    folder = parts[0].folder
    with claimed(folder / CLAIM):
        finished = FinishedParts(parts, session.selection)
        if finished.done < finished.total:
            raise ClaimedElsewhere(f"{finished.done} of {finished.total} recordings are scored")
        return session.run(source, folder, watcher, plot=plot, parts=finished)


def _report_problems(document: Mapping[str, Any], watcher: Watcher) -> None:
    skipped, notes = (
        [Problem(**each).line for each in document[key]] for key in ("skipped", "notes")
    )
    for prefix, lines, tell in (
        ("note: ", document["dataset"]["problems"], watcher.note),
        ("salcli: error: ", skipped, watcher.say),
        ("note: ", notes, watcher.note),
    ):
        for line in lines[:LINES]:
            tell(f"{prefix}{line}")
        if len(lines) > LINES:
            tell(f"{prefix}{len(lines) - LINES} more like these are in scores.json")


def _write_together(documents: Sequence[Mapping[str, Any]], output: Path, *, plot: str) -> None:
    """One table and plot of all sources, and the first beside each other one."""
    table = joined(documents)
    for ending in ("md", "tex"):
        table.write(output / f"models.{ending}")
    plots.models(output / f"models.{plot}", table)
    names = folder_names([document["name"] for document in documents])
    for document, name in list(zip(documents, names, strict=True))[1:]:
        found = pair(documents[0], document)
        path = output / f"{names[0]}-and-{name}.{plot}"
        plots.side_by_side(path, found.names, found.over, found.leads)

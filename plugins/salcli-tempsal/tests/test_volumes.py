"""The files of `salcli tempsal slices` can be used for training, and are scored slice by slice."""

import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from salcli_tempsal import TEMPSAL, Options
from salcli_tempsal.model import TempSal

from salcli import Annotation, InputError, Prediction, Stimulus, UsageError
from salcli.authoring import Batches, Corpus, Model, open_dataset
from salcli.testing import by_maps, read_density

Run = Callable[..., subprocess.CompletedProcess[str]]

SIZE = (36, 48)
"""Of the miniature's images."""


class Knowing(TempSal):
    """Predicts the given slices, without a network."""

    told: dict[str, Sequence[Annotation]]

    def predict(self, stimulus: Stimulus) -> Iterator[Prediction]:
        """One prediction with the given slices."""
        maps = [torch.from_numpy(read_density(a, SIZE) / 255) for a in self.told[stimulus.name]]
        for _ in stimulus.frames:
            yield Prediction(maps[0], {f"slice{i}": found for i, found in enumerate(maps, 1)})


def model(kind: type[TempSal] = TempSal, **options: int) -> TempSal:
    return kind(TEMPSAL, Options(network="slices", input_size=32, **options))


def corpora(root: Path, made: Model, *options: str) -> list[Corpus]:
    (recipe,) = made.recipes().values()
    (source,) = recipe.sources
    dataset = open_dataset(source.dataset, [root], options=options)
    return [Corpus.of(dataset, source, recipe)]


@pytest.fixture
def sliced(salcli: Run, miniature: Callable[[str], Path], tmp_path: Path) -> Path:
    """SALICON's miniature with two slices of each image: the gaze begins at 0 and 10 ms."""
    root = Path(shutil.copytree(miniature("salicon"), tmp_path / "salicon"))
    done = salcli("tempsal", "slices", root / "fixations", "-o", root, "--slicing", "5", "-q")
    assert done.returncode == 0, done.stderr
    return root


def test_an_image_has_its_slices_in_their_relative_brightness(sliced: Path) -> None:
    made = model(slices=2)
    (recipe,) = made.recipes().values()
    found = corpora(sliced, made, "slices=2")
    assert (len(found[0].training), len(found[0].validation)) == (6, 3)
    recording = found[0].validation[0]
    volumes = [read_density(annotation, SIZE) for annotation in recording.annotations]
    assert [a.label[-2:] for a in recording.annotations] == ["_0", "_1"]
    assert all(a.fixations is not None for a in recording.annotations)
    kept = Batches(found, made, recipe=recipe, training=False)
    batch = kept[0, 0]
    assert batch.density.shape == batch.fixations.shape == (3, 1, 2, *SIZE)
    assert batch.inputs.shape == (3, 1, 3, 32, 32)
    np.testing.assert_array_equal(batch.density[0, 0].numpy(), np.stack(volumes))
    assert batch.density.max() > 200


def test_each_slice_is_judged_by_its_own_map(sliced: Path) -> None:
    made = model(Knowing, slices=2)
    assert isinstance(made, Knowing)
    (recipe,) = made.recipes().values()
    found = corpora(sliced, made, "slices=2")
    truth = {recording.name: recording.annotations for recording in found[0].validation}
    made.told = truth
    assert by_maps(made, found, recipe=recipe)["all"]["CC"] == pytest.approx(1, abs=1e-5)
    made.told = {name: slices[::-1] for name, slices in truth.items()}
    assert by_maps(made, found, recipe=recipe)["all"]["CC"] < 0.99
    made.told = {name: slices[:1] * 3 for name, slices in truth.items()}
    with pytest.raises(UsageError, match="3 extra maps per frame, and the ground truth has 2"):
        by_maps(made, found, recipe=recipe)


def test_what_is_missing_is_told(sliced: Path) -> None:
    with pytest.raises(InputError, match=r"no 5 slices of 'COCO_train2014_0+9\.jpg'"):
        corpora(sliced, model())
    (sliced / "saliency_volumes_2" / "val" / "COCO_val2014_000000000133_1.png").unlink()
    dataset = open_dataset("salicon-slices", [sliced], options=["slices=2"])
    assert len(dataset.recordings("valid")) == 2
    assert "no 2 slices of 'COCO_val2014_000000000133.jpg'" in dataset.problems[0]
    with pytest.raises(UsageError, match="slices"):
        open_dataset("salicon-slices", [sliced], options=["slices=0"])

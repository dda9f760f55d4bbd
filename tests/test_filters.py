"""Filters around models: chosen by name, nested, recorded, blamed for what they do."""

import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import salcli
from salcli.errors import PluginError, UnknownName, UsageError
from salcli.filters.chain import Filter, check_trainable, choose, trained_part
from salcli.models.loading import create
from salcli.models.model import Model
from salcli.plugins import loader
from salcli.prediction import loop
from salcli.scoring.predicted import PredictedMaps
from salcli.terminal.progress import Watcher
from salcli.types import Frame, Prediction, Result, Stimulus

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(autouse=True)
def _around(
    fakes: None, install_plugins: Callable[..., None], make_site: Callable[..., Path]
) -> None:
    install_plugins(make_site("salcli_around"))


def model_with(*filters: str, name: str = "brightness") -> Model:
    model = create(name, defaults={})
    model.to(torch.device("cpu"), torch.float32)
    model.batch_size = 4
    return model.filtered(filters)


def grey(level: int, height: int = 4, width: int = 6) -> Frame:
    return np.full((height, width, 3), level, np.uint8)


def run(model: Model, frames: list[Frame], *, clip: bool = True) -> list[Result]:
    stimulus = Stimulus("s", frames, fps=10.0 if clip else None)
    return list(loop.run(model, stimulus, notice=print))


def apply(text: str, maps: list[np.ndarray], frames: list[Frame], *, clip: bool = True) -> list:
    """What a filter makes of these maps."""
    (one,) = choose([text])
    stimulus = Stimulus("s", frames, fps=10.0 if clip else None)

    def following(inner: Stimulus) -> Iterator[Prediction]:
        for map_, _ in zip(maps, inner.frames, strict=True):
            tensor = torch.from_numpy(map_).float()
            yield Prediction(tensor, {"half": tensor / 2})

    return list(one.predict(stimulus, following))


def test_the_first_filter_is_the_outermost() -> None:
    frames = [grey(255)]
    # letterbox pads with zeros what dim has changed, and dim changes what letterbox has padded
    (once,) = run(model_with("dim,factor=0.25"), frames)
    (twice,) = run(model_with("dim", "dim,factor=0.25"), frames)

    assert once.saliency.max() == pytest.approx(0.25)
    assert twice.saliency.max() == pytest.approx(0.125)
    assert [each.label for each in choose(["dim", "dim,factor=0.25,keys=1,2"])] == [
        "dim",
        "dim,factor=0.25,keys=[1, 2]",
    ]


@pytest.mark.parametrize(
    ("text", "error", "words"),
    [
        ("smoth", UnknownName, "no filter named 'smoth'; did you mean smooth"),
        ("smooth,beta=1", UnknownName, "option of filter 'smooth'"),
        ("smooth,alpha=2", UsageError, "alpha=2 of filter 'smooth': must be above 0 and at most 1"),
        ("smooth,alpha", UsageError, "key=value"),
        ("median,window=4", UsageError, "filter 'median': window=4: must be odd"),
    ],
)
def test_a_wrong_choice_says_what_is_wrong(text: str, error: type, words: str) -> None:
    with pytest.raises(error, match=words):
        choose([text])


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("odd", "filter 'odd' gave a tensor of torch.float64 as saliency of frame 1"),
        ("late", "filter 'late' failed: KeyError: 'second frame'"),
        ("first", "filter 'first' gave 1 maps for 's', which has more frames"),
        ("bright", r"filter 'bright' gave values outside \[0, 1\] as saliency of frame 1"),
    ],
)
@pytest.mark.parametrize("around", [(), ("dim",)], ids=["alone", "within another"])
def test_a_filter_that_fails_is_named(name: str, words: str, around: tuple[str, ...]) -> None:
    with pytest.raises(PluginError, match=words):
        run(model_with(*around, name), [grey(n) for n in range(3)])


def test_a_model_that_fails_within_a_filter_is_named() -> None:
    with pytest.raises(PluginError, match=r"^model 'failing' failed: KeyError: 'third frame'"):
        run(model_with("dim", "smooth", name="failing"), [grey(n) for n in range(4)])


def test_memory_that_runs_out_within_a_filter_halves_the_batch() -> None:
    frames = [grey(10 * n) for n in range(6)]
    results = run(model_with("smooth,alpha=1", name="hungry"), frames)

    levels = [round(float(r.saliency.mean()) * 255) for r in results]
    assert levels == [0, 10, 20, 30, 40, 50]


def test_letterbox_shows_the_picture_alone_and_pads_the_map() -> None:
    frame = np.zeros((20, 30, 3), np.uint8)
    frame[4:16, 3:27] = 200
    frame[5, 5] = 100
    # 5 rows above and 4 below: what is as wide on both sides is a bar
    frame[4] = 3
    seen = []

    class Watched(type(model_with())):  # type: ignore[misc]
        def preprocess(self, frames: list[Frame]) -> torch.Tensor:
            seen.extend(each.shape for each in frames)
            return super().preprocess(frames)  # type: ignore[no-any-return]

    model = model_with("letterbox")
    model.__class__ = Watched
    results = run(model, [frame, frame, frame])

    assert seen == [(12, 24, 3)] * 3
    for result in results:
        assert result.saliency.shape == (20, 30)
        assert not result.saliency[:4].any()
        assert not result.saliency[:, :3].any()
        assert result.saliency[6:16, 3:27] == pytest.approx(200 / 255, abs=1e-6)
        assert result.extras["red"][5, 5] == pytest.approx(100 / 255)


def test_letterbox_looks_at_each_still_and_at_the_beginning_of_a_clip() -> None:
    black, wide, tall, full = (grey(0, 12, 12) for _ in range(4))
    wide[3:9], tall[:, 2:10], full[:] = 255, 255, 255

    stills = run(model_with("letterbox"), [wide, tall, black, full], clip=False)
    assert [round(float(r.saliency.sum())) for r in stills] == [72, 96, 0, 144]
    # a black beginning says nothing, and what the bars of some frames show is no bar
    for frames, expected in (([black, wide, wide], 72), ([wide, tall, full], 144)):
        assert round(float(run(model_with("letterbox"), frames)[-1].saliency.sum())) == expected


def test_smooth_mixes_each_map_with_those_before_and_starts_again_at_a_cut() -> None:
    maps = [np.full((2, 3), level) for level in (1.0, 0.0, 0.0, 1.0, 0.5)]
    frames = [grey(0), grey(1), grey(2), grey(200), grey(201)]

    found = apply("smooth,alpha=0.75", maps, frames)

    levels = [float(each.saliency.mean()) for each in found]
    assert levels == pytest.approx([1, 0.25, 0.0625, 1, 0.625])
    assert [float(each.extras["half"].mean()) for each in found] == pytest.approx(
        [level / 2 for level in levels]
    )


@pytest.mark.parametrize("text", ["smooth", "median"])
def test_stills_pass_filters_of_time_unchanged(text: str) -> None:
    maps = [np.full((2, 3), level) for level in (1.0, 0.0, 0.5)]

    found = apply(text, maps, [grey(0)] * 3, clip=False)

    assert [float(each.saliency.mean()) for each in found] == [1, 0, 0.5]


@pytest.mark.parametrize("count", [1, 2, 4, 9])
def test_median_is_that_of_the_log_densities(count: int) -> None:
    """As UNISAL's `smooth_method` "med5" does: the window is cut at the ends."""
    random = np.random.default_rng(count)
    maps = [random.random((4, 6)).astype(np.float32) + 0.01 for _ in range(count)]
    maps = [map_ / map_.max() for map_ in maps]
    logs = np.log([map_.astype(np.float64) / map_.sum() for map_ in maps])

    found = apply("median", maps, [grey(0)] * count)

    assert len(found) == count
    for index, each in enumerate(found):
        middle = np.exp(np.median(logs[max(0, index - 2) : index + 3], axis=0))
        assert each.saliency.numpy() == pytest.approx(middle / middle.max(), abs=1e-5)


def test_median_of_maps_of_zeros_stays_zero() -> None:
    found = apply("median,window=3", [np.zeros((2, 3))] * 4, [grey(0)] * 4)

    assert not any(each.saliency.any() for each in found)


@pytest.mark.parametrize("text", ["letterbox", "smooth", "median"])
def test_filters_hold_few_frames_and_maps_however_long_a_clip_is(text: str) -> None:
    taken = given = most = 0

    class Frames:
        def __iter__(self) -> Iterator[Frame]:
            nonlocal taken
            for index in range(600):
                taken = index
                yield grey(index % 256)

    for result in loop.run(model_with(text), Stimulus("s", Frames(), fps=25.0), notice=print):
        given = result.index
        most = max(most, taken - given)
    assert given == 599
    assert most <= 12


def write_images(folder: Path) -> Path:
    folder.mkdir()
    for n in range(3):
        Image.fromarray(grey(60 * n + 60)).save(folder / f"{n}.png")
    return folder


def record(tmp_path: Path) -> dict:
    return json.loads((tmp_path / "saliency" / "in" / "salcli.json").read_text())  # type: ignore[no-any-return]


def test_the_record_names_the_filters_and_a_changed_one_means_a_new_run(
    salcli: Run, tmp_path: Path
) -> None:
    write_images(tmp_path / "in")
    command = ("predict", "in", "-m", "brightness", "--filter", "dim,factor=0.5")

    assert salcli(*command).returncode == 0
    assert record(tmp_path)["settings"]["filters"] == [
        {
            "name": "dim",
            "options": {"factor": 0.5, "keys": [1]},
            "distribution": "salcli-around",
            "version": "1.5",
        }
    ]
    assert "already done" in salcli(*command).stderr
    other = salcli(*command[:-1], "dim,factor=0.25")
    assert "predicted with other settings" in other.stderr
    assert np.asarray(Image.open(tmp_path / "saliency/in/0.png")).max() == 15
    assert record(tmp_path)["model"] == "brightness + dim,factor=0.25"


def test_the_record_names_plugins_that_change_predictions(
    salcli: Run,
    tmp_path: Path,
    install_plugins: Callable[..., None],
    make_site: Callable[..., Path],
) -> None:
    write_images(tmp_path / "in")
    command = ("predict", "in", "-m", "brightness")
    salcli(*command)
    assert record(tmp_path)["settings"]["plugins"] == {}
    before = np.asarray(Image.open(tmp_path / "saliency/in/0.png")).max()

    install_plugins(make_site("salcli_hooked"))
    assert "predicted with other settings" in salcli(*command).stderr
    assert record(tmp_path)["settings"]["plugins"] == {"salcli-hooked": "1.5"}
    assert np.asarray(Image.open(tmp_path / "saliency/in/0.png")).max() != before

    metadata = tmp_path / "site" / "salcli_hooked-1.5.dist-info" / "METADATA"
    metadata.write_text(metadata.read_text().replace("1.5", "1.6"))
    install_plugins(tmp_path / "site")
    assert "predicted with other settings" in salcli(*command).stderr


def test_a_plugin_that_changes_predictions_and_fails_is_named(
    install_plugins: Callable[..., None], make_site: Callable[..., Path]
) -> None:
    install_plugins(make_site("salcli_hooked"))
    words = "plugin 'salcli-hooked', which changes the predictions of model 'brightness'.*, failed"
    with pytest.raises(PluginError, match=words):
        run(model_with(), [grey(n) for n in range(5)])
    with pytest.raises(PluginError, match="model 'failing' failed: KeyError: 'third frame'"):
        run(model_with(name="failing"), [grey(n) for n in range(3)])


def test_filters_in_python(tmp_path: Path) -> None:
    clip = [grey(255), grey(0)]
    plain = salcli.load_model("brightness", device="cpu", filters=["dim"])

    (first, _) = salcli.predict(clip, model=plain, fps=10)
    (other, _) = salcli.predict(clip, model=plain, fps=10, filters=["dim,factor=0.1"])
    (bare, _) = salcli.predict(clip, model=plain, fps=10, filters=[])
    (named, _) = salcli.predict(clip, model="brightness", fps=10, filters="dim", device="cpu")

    levels = [float(each.saliency.max()) for each in (first, other, bare, named)]
    assert levels == pytest.approx([0.5, 0.1, 1, 0.5])


def test_the_list_of_filters(salcli: Run) -> None:
    lines = [line.split() for line in salcli("filters").stdout.splitlines()]
    assert ["median", "window=5", "no", "salcli", "median"] in [line[:5] for line in lines]
    (box,) = (f for f in json.loads(salcli("filters", "--json").stdout) if f["name"] == "letterbox")
    assert box["trains"]
    assert box["options"][0]["default"] == 24


@pytest.mark.parametrize(
    ("text", "error", "words"),
    [
        ("smooth", UsageError, "filter 'smooth' changes predictions only"),
        ("odd", PluginError, r"filter 'odd' gave \(0, 5, 0, 1\), which is no part of a frame"),
    ],
)
def test_what_cannot_be_trained_with_is_refused(text: str, error: type, words: str) -> None:
    def part(filters: tuple[Filter, ...]) -> None:
        check_trainable(filters)
        trained_part(filters, [grey(1)])

    with pytest.raises(error, match=words):
        part(choose(text))


GUIDE = (Path(__file__).parents[1] / "docs" / "plugins.md").read_text("utf-8")


@pytest.mark.parametrize(
    ("example", "filters", "expected"),
    [
        ("filter", ["mirror"], [[0.5, 0], [0.5, 0]]),
        ("filter", ["mirror,strength=0"], [[1, 0], [1, 0]]),
        ("predict", [], [[1, 0], [0, 0]]),
        ("preprocess", [], [[0, 0], [0, 0]]),
    ],
)
def test_the_examples_of_the_guide_do_what_they_say(
    example: str,
    filters: list[str],
    expected: list[list[float]],
    install_plugins: Callable[..., None],
    make_site: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Left(type(model_with())):  # type: ignore[misc]
        """Sees the left of each frame only."""

        def preprocess(self, frames: list[Frame]) -> torch.Tensor:
            inputs: torch.Tensor = super().preprocess(frames)
            inputs[..., 1:] = 0
            return inputs

    (code,) = re.findall(rf"^```python {example}\n(.*?)^```$", GUIDE, re.M | re.S)
    site = make_site("salcli_hooked")
    (site / "salcli_hooked" / "__init__.py").write_text(code.replace("PLUGIN", "salcli_hooked"))
    monkeypatch.delitem(sys.modules, "salcli_hooked", raising=False)
    install_plugins(site)
    model = model_with(*filters)
    model.__class__ = Left
    frame = np.zeros((2, 2, 3), np.uint8)
    frame[:, 0] = 255

    results = run(model, [frame, frame])

    assert [each.saliency.tolist() for each in results] == [expected, expected]
    named = [plugin.distribution for plugin in loader.load().altering()]
    assert named == ([] if example == "filter" else ["salcli-hooked"])  # as records name them
    sys.modules.pop("salcli_hooked", None)


def test_scores_name_the_filters_and_the_plugins_that_change_predictions(
    install_plugins: Callable[..., None], make_site: Callable[..., Path]
) -> None:
    install_plugins(make_site("salcli_hooked"))
    loaded = salcli.load_model("brightness", device="cpu", filters=["dim", "smooth,alpha=0.8"])

    statement = PredictedMaps(loaded, Watcher()).statement()

    assert statement["model"] == "brightness + dim + smooth,alpha=0.8"
    assert [each["name"] for each in statement["filters"]] == ["dim", "smooth"]
    assert statement["filters"][1]["options"] == {"alpha": 0.8, "cut": 0.1}
    assert statement["plugins"] == {"salcli-hooked": "1.5"}


@pytest.mark.parametrize(
    "command",
    [
        *("predict", "visualize", "aoi", "report", "score"),
        pytest.param("bench", marks=pytest.mark.endurance),  # it measures this machine first
    ],
)
def test_every_command_that_predicts_takes_filters(
    command: str, salcli: Run, tmp_path: Path, miniature: Callable[[str], Path]
) -> None:
    write_images(tmp_path / "in")
    words: dict[str, list[str | Path]] = {
        "bench": ["in/0.png", "--frames", "1"],
        "aoi": ["in/0.png", "--area", "left=0,0,50%,100%"],
        "score": ["--data", "osie", "--root", miniature("osie"), "--baselines", "none"],
    }

    run = salcli(
        command, *words.get(command, ["in/0.png"]), "-m", "brightness", "--filter", "bright"
    )

    assert run.returncode == 4, run.stderr
    assert "filter 'bright' gave values outside [0, 1] as saliency of frame 1" in run.stderr

"""TempSAL's options and the operations on its maps."""

import numpy as np
import pytest
import torch
from salcli_tempsal.maps import blurred, stretched
from salcli_tempsal.model import TempSal
from salcli_tempsal.network import SliceBranch

from salcli import UsageError
from salcli.authoring import create, to_8bit

from .conftest import GOLDENS, predict, read


def test_both_writers_of_the_original_on_a_given_map() -> None:
    arrays = np.load(GOLDENS / "postprocess.npz")
    given = torch.from_numpy(arrays["map"])[None]

    notebook = to_8bit(stretched(given)[0].numpy(), "nearest")
    soft = blurred(given, (272, 640))
    script = to_8bit(stretched(soft)[0].numpy(), "nearest")

    assert np.abs(notebook.astype(int) - arrays["notebook_u8"]).max() <= 1
    np.testing.assert_allclose(soft[0, ::4, ::4], arrays["testscript_blurred_s4"], atol=1e-5)
    assert np.abs(script[::2, ::2].astype(int) - arrays["testscript_u8_s2"]).max() <= 1


def test_slices_share_a_scale_unless_each_shall_have_its_own() -> None:
    maps = torch.tensor([[[0.2, 0.4]], [[0.3, 1.0]]])

    common, own = stretched(maps, together=True), stretched(maps)

    torch.testing.assert_close(common, (maps - 0.2) / 0.8)
    torch.testing.assert_close(own, torch.tensor([[[0.0, 1.0]], [[0.0, 1.0]]]))
    assert torch.equal(stretched(torch.full((1, 2, 2), 0.7)), torch.zeros(1, 2, 2))


def test_slices_are_divided_by_the_maximum_of_their_image_or_of_the_batch() -> None:
    logits = torch.tensor([0.0, -1.0, -3.0, -4.0]).reshape(2, 2, 1, 1)
    with torch.device("meta"):
        branch = SliceBranch(2)

    image, batch = (branch.maps(logits, batchwide=batchwide) for batchwide in (False, True))

    maps = logits.sigmoid()
    assert torch.equal(image, maps / maps[:, :1])
    assert torch.equal(batch, maps / 0.5)


@pytest.mark.parametrize("network", ["slices", "image"])
def test_a_branch_alone_in_a_clip_at_the_size_of_the_frame(network: str) -> None:
    options = {"network": network, "slices": 11, "input_size": 32, "blur": True}
    model = create("tempsal", options=options, defaults={})
    assert isinstance(model, TempSal)
    model.to(torch.device("cpu"), torch.float32)
    frames = [
        read(GOLDENS / "batch2_lowcontrast_input.png"),
        read(GOLDENS / "batch2_lowcontrast_input.png")[::-1].copy(),
    ]

    first, second = predict(model, frames)

    names = [f"slice{number:02}" for number in range(1, 12)] if network == "slices" else []
    for prediction in (first, second):
        assert list(prediction.extras) == names
        assert {m.shape for m in (prediction.saliency, *prediction.extras.values())} == {(144, 176)}
    assert not torch.equal(first.saliency, second.saliency)


@pytest.mark.parametrize("changes", [{"slices": 0}, {"input_size": 100}, {"input_size": 0}])
def test_options_that_no_network_can_have_are_refused(changes: dict[str, int]) -> None:
    with pytest.raises(UsageError, match=next(iter(changes))):
        create("tempsal", options=changes, defaults={})

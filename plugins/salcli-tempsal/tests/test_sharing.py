"""Stages that TempSAL's encoders share are stored and run once, with the same maps."""

from collections import Counter

import pytest
import torch
from salcli_tempsal.network import TempSAL


@pytest.fixture(scope="module")
def twins() -> TempSAL:
    """A random network, both of whose encoders hold the same numbers."""
    torch.manual_seed(0)
    network = TempSAL(5).eval()
    network.pnas_sal.pnas.load_state_dict(network.pnas_vol.pnas.state_dict())
    return network


def runs(network: TempSAL) -> tuple[torch.Tensor, torch.Tensor, Counter[str]]:
    """Both kinds of maps for a small input, and how often each stage of an encoder ran."""
    ran: Counter[str] = Counter()
    encoders = [network.pnas_vol.pnas, network.pnas_sal.pnas]
    names = {encoder.get_submodule(n): n for encoder in encoders for n in encoder.stage_names()}
    handles = [
        module.register_forward_hook(lambda *_, name=name: ran.update([name]))
        for module, name in names.items()
    ]
    with torch.inference_mode():
        maps = network(torch.linspace(-1, 1, 2 * 3 * 32 * 32).reshape(2, 3, 32, 32))
    for handle in handles:
        handle.remove()
    return *maps, ran


def test_stages_that_both_encoders_have_are_kept_and_run_once(twins: TempSAL) -> None:
    first, second = twins.pnas_vol.pnas, twins.pnas_sal.pnas
    names = first.stage_names()
    mean = second.cells[8].preprocess1.op[2].running_mean
    mean += 1

    apart = runs(twins)
    assert apart[2] == Counter(names * 2)
    assert twins.share() == 11  # the first convolution, two stems, cells 0 to 7
    together = runs(twins)
    assert together[2] == Counter(names + names[12:])
    assert all(torch.equal(a, b) for a, b in zip(apart[:2], together[:2], strict=True))


def test_an_encoder_that_both_branches_have_is_kept_and_run_once(twins: TempSAL) -> None:
    first, second = twins.pnas_vol.pnas, twins.pnas_sal.pnas
    second.load_state_dict(first.state_dict())

    apart = runs(twins)
    assert twins.share() == 15
    together = runs(twins)
    assert together[2] == Counter(first.stage_names())
    assert all(torch.equal(a, b) for a, b in zip(apart[:2], together[:2], strict=True))
    assert set(second.parameters()) == set(first.parameters())

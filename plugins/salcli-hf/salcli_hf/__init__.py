"""Downloads weights from the Hugging Face Hub: answers `hf://OWNER/NAME[@REVISION]/FILE`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from salcli import Weights, hookimpl

__version__ = "0.1.0"


@hookimpl
def fetch_weights(
    weights: Weights, url: str, target: Path, report: Callable[[int, int | None], None]
) -> bool | None:
    """Download a file of the Hub; leave other addresses to others."""
    if not url.startswith("hf://"):
        return None
    from salcli_hf.hub import download

    download(url, target, report)
    return True

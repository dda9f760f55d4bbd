"""Writes a new plugin: a distribution with code, tests, README, licence and CI."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Any

from salcli.errors import UsageError
from salcli.files import atomic

__all__ = ["write"]

NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")

CHANNELS = {"resnet18": 512, "resnet50": 2048}
"""Channels of the features of each backbone."""

CODE: Mapping[str, tuple[str, str, str, str]] = {
    "image": ("init_image.py", "image.py", "model.py", "A saliency model of images"),
    "video": ("init_model.py", "video.py", "model.py", "A saliency model of clips"),
    "filter": ("init_filter.py", "filter.py", "filter.py", "A filter of saliency maps"),
    "dataset": (
        "init_dataset.py",
        "reader.py",
        "reader.py",
        "A dataset of images and their maps",
    ),
    "metric": ("init_metric.py", "metric.py", "metric.py", "A metric of saliency maps"),
}
"""Of each kind: the template of `__init__.py`, of its other module, its name, and a summary."""


def write(name: str, folder: Path, *, kind: str, backbone: str = "none") -> Iterator[Path]:
    """Write a plugin into a new or empty folder; gives the files.

    Args:
        name: Of the plugin and of what it brings.
        folder: Receives the distribution.
        kind: One of `CODE`.
        backbone: One of `CHANNELS` for an image model, or `none`.

    Raises:
        UsageError: The name cannot be used, the folder holds something, or only images have a
            backbone.
        OutputError: The folder cannot be written.
    """
    if not NAME.fullmatch(name):
        raise UsageError(f"'{name}' is no name of a plugin: lower case letters, digits, '-'")
    if backbone != "none" and kind != "image":
        raise UsageError(f"a backbone belongs to a model of images, not to a {kind}")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(f"'{folder}' is there already; choose another folder")
    begin, code, module, summary = CODE[kind]
    package = f"salcli_{name.replace('-', '_')}"
    if backbone != "none":
        begin, code = "init_model.py", "backbone.py"
    parts = {
        "pyproject.toml": "pyproject.toml",
        "README.md": "README.md",
        "LICENSE": "LICENSE",
        ".github/workflows/test.yml": "ci.yml",
        f"{package}/__init__.py": begin,
        f"{package}/{module}": code,
        f"tests/test_{package}.py": "test.py",
    }
    values = _values(name, package, kind, backbone, summary)
    for path, template in parts.items():
        atomic.write(folder / path, _filled(template, values))
        yield folder / path
    if begin == "init_image.py":
        start = folder / package / "start.safetensors"
        atomic.write(start, _contrasts())
        yield start


def _values(name: str, package: str, kind: str, backbone: str, summary: str) -> dict[str, str]:
    """What the templates name with a dollar."""
    libraries = {"image": ["torch"], "video": ["torch"], "filter": ["torch"], "metric": ["numpy"]}
    usage = f"usage_{kind if backbone == 'none' else 'video'}.md"
    more = ["torchvision"] if backbone != "none" else []
    needed = ["salcli>=0.1,<0.2", *libraries.get(kind, []), *more]
    return {
        "name": name,
        "package": package,
        "summary": summary,
        "usage": _filled(usage, {"name": name}).strip(),
        "dependencies": ", ".join(f'"{each}"' for each in needed),
        "accepts": '{"clips"}' if kind == "video" else '{"stills", "clips"}',
        "backbone": backbone,
        "channels": str(CHANNELS.get(backbone, "")),
        "variable": f"{name.replace('-', '_').upper()}_ROOT",
        "year": str(datetime.now(UTC).year),
    }


def _contrasts() -> bytes:
    """Weights for `image.py` that see contrasts of brightness and colours, and edges.

    Half of its filters have the other sign, so that what the next layer adds is an absolute value.
    """
    import numpy as np
    from safetensors.numpy import save

    y, x = np.mgrid[-2:3, -2:3]

    def spot(sigma: float) -> Any:
        gaussian = np.exp(-(x**2 + y**2) / (2 * sigma**2))
        return gaussian / gaussian.sum()

    colours = np.array([[1, 1, 1], [1, -1, 0], [0, 1, -1], [-1, 0, 1]]) / 3
    around = colours[:, :, None, None] * (spot(0.7) - spot(2))
    edges = np.stack([along * spot(1) for along in (x, y, x + y, x - y)])
    filters = np.concatenate([around, np.stack([edges] * 3, 1) / 6])
    tensors = {
        "0.weight": np.concatenate([filters, -filters]),
        "0.bias": np.zeros(16),
        "2.weight": np.stack([12 * spot(1.5)] * 16)[None],
        "2.bias": np.zeros(1),
    }
    return save({name: tensor.astype(np.float32) for name, tensor in tensors.items()})


def _filled(template: str, values: Mapping[str, str]) -> str:
    text = (files("salcli.plugins") / "templates" / f"{template}.txt").read_text("utf-8")
    return Template(text).substitute(values)

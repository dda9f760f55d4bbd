"""A plugin with datasets of its own kind: one of which it is published what there is, one not."""

from salcli import DatasetSpec, hookimpl


@hookimpl
def register_datasets():
    for name in ("listed", "plain"):
        yield DatasetSpec(
            name=name,
            summary="two clips of a plugin",
            factory=f"salcli_dataset.clips:open_{name}",
            layout=("CLIP/0001.png",),
        )

"""Datasets that share no class with those of the core."""

from salcli import Annotation, Recording, Submission


class Plain:
    name = "plain"
    edition = ""
    splits = ("test",)
    evaluated = "test"
    kernel = "default"
    submission = Submission("{clip}/{label}")
    problems = ()

    def __init__(self, root):
        self.root = root

    def recordings(self, split, /):
        return [self._clip(folder) for folder in sorted(self.root.iterdir())]

    def _clip(self, folder):
        files = sorted(folder.iterdir())
        annotations = [Annotation(file.stem, density=file) for file in files]
        return Recording(f"test/{folder.name}", folder, annotations, fps=25.0, frames=files)


class Listed(Plain):
    name = "listed"

    def __init__(self, root):
        super().__init__(root)
        self.expected = {"test": ["one", "two"]}
        self.frame_counts = {"one": 2, "two": 3}


def open_plain(roots, options):
    return Plain(roots[0])


def open_listed(roots, options):
    return Listed(roots[0])

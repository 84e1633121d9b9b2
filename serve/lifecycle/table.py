"""ServingTable: the available versions. It is replaced, never changed, so that a look-up needs no lock."""

from collections.abc import Mapping
from dataclasses import dataclass

from serve.errors import Code, ServeError
from serve.lifecycle.harness import Harness
from serve.lifecycle.state import ModelRef


@dataclass(frozen=True)
class ServingTable:
    """The available versions of each model, the largest first, and the labels of each model."""

    versions: Mapping[str, Mapping[int, Harness]]
    labels: Mapping[str, Mapping[str, int]]

    def find(self, ref: ModelRef) -> Harness:
        """Returns the version that `ref` means. Raises NOT_FOUND, with what exists, if it is not available."""
        available = self.versions.get(ref.name)
        version = ref.version if ref.label is None else self._labelled(ref.name, ref.label)
        if available:
            if version is None:
                return next(iter(available.values()))
            if version in available:
                return available[version]
        request = f"Latest({ref.name})" if version is None else f"Specific({ref.name}, {version})"
        raise ServeError(Code.NOT_FOUND, f"Servable not found for request: {request}. {self._existing(ref.name)}")

    def _labelled(self, name: str, label: str) -> int:
        labels = self.labels.get(name, {})
        if label not in labels:
            existing = ", ".join(sorted(labels)) or "none"
            raise ServeError(
                Code.INVALID_ARGUMENT, f"Unrecognized servable version label: {label}. Labels of {name}: {existing}"
            )
        return labels[label]

    def _existing(self, name: str) -> str:
        if self.versions.get(name):
            return f"Available versions of {name}: {', '.join(map(str, self.versions[name]))}"
        names = sorted(name for name, versions in self.versions.items() if versions)
        return f"Available models: {', '.join(names) or 'none'}"

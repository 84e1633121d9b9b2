"""Reads an ExportSpec from command line flags. They cover the common cases; a spec file covers all."""

from dataclasses import dataclass, replace
from pathlib import Path

from tfx_export.errors import SpecError
from tfx_export.exporting.spec.from_yaml import METHODS, parse_spec
from tfx_export.exporting.spec.model import ExportSpec, ImageSpec, SignatureSpec


@dataclass(frozen=True)
class SignatureFlags:
    """The values of `--signature [NAME=]KIND` (repeatable), and of the flags that hold for all signatures."""

    signatures: tuple[str, ...] = ()
    labels: Path | None = None
    top_k: int | None = None
    image_scale: str | None = None
    image_size: tuple[int, int] | None = None

    def spec(self) -> ExportSpec:
        """Returns the spec that the flags describe: one Predict signature if only `--labels` or `--top-k` are given.

        Raises SpecError if a kind is unknown, or a flag does not apply to any signature.
        """
        if self == SignatureFlags():
            return ExportSpec()
        kinds = [self._kind(flag) for flag in self.signatures] or [("serving_default", "predict")]
        names = [name for name, _ in kinds]
        if len(set(names)) < len(names):
            raise SpecError(
                f"Two signatures have the same name: {', '.join(names)}.", hint="Name them: --signature NAME=KIND"
            )
        content = {"signatures": {name: {"method": kind} for name, kind in kinds}}
        signatures = tuple(self._complete(one) for one in parse_spec(content).signatures)
        if (self.image_scale or self.image_size) and not any(one.image for one in signatures):
            raise SpecError("--image-scale and --image-size need an image signature.", hint="--signature image")
        if (self.labels or self.top_k) and not any(one.labels or one.top_k for one in signatures):
            raise SpecError(
                "--labels and --top-k need a signature that scores classes.", hint="--signature classify, or image"
            )
        return ExportSpec(signatures)

    def _kind(self, flag: str) -> tuple[str, str]:
        name, equals, kind = flag.rpartition("=")
        if kind not in METHODS or (equals and not name):
            raise SpecError(
                f"--signature takes a kind or NAME=KIND, and got {flag!r}.", hint=f"Kinds: {', '.join(METHODS)}"
            )
        return name or kind, kind

    def _complete(self, one: SignatureSpec) -> SignatureSpec:
        if one.image:
            one = replace(one, image=ImageSpec(scale=self.image_scale or "none", size=self.image_size))
        # Next to other signatures, Predict on raw tensors stays without labels: it returns the raw outputs.
        labelled = one.method == "classify" or one.image or len(self.signatures) <= 1
        return replace(one, labels=self.labels, top_k=self.top_k) if labelled and one.method != "regress" else one

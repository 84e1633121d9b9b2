"""An ExportSpec from command line flags, for the common cases; a spec file says the rest."""

from dataclasses import dataclass, replace
from pathlib import Path

from tfx_export.errors import SpecError
from tfx_export.exporting.spec.from_yaml import METHODS, parse_spec, read_spec
from tfx_export.exporting.spec.model import ExportSpec, ImageSpec, SignatureSpec


@dataclass(frozen=True)
class SignatureFlags:
    """`--signature [NAME=]KIND` (repeatable) and what the flags beside it say about all of them."""

    signatures: tuple[str, ...] = ()
    labels: Path | None = None
    top_k: int | None = None
    image_scale: str | None = None
    image_size: tuple[int, int] | None = None

    def spec(self) -> ExportSpec:
        """The spec they describe; without `--signature`, one Predict signature. Raises SpecError."""
        kinds = [self._kind(flag) for flag in self.signatures] or [("serving_default", "predict")]
        names = [name for name, _ in kinds]
        if len(set(names)) < len(names):
            raise SpecError(
                f"Two signatures of one name: {', '.join(names)}.", hint="--signature NAME=KIND names them."
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
        # Raw tensors in stay raw numbers out where a signature for labels stands beside them.
        labelled = one.method == "classify" or one.image or len(self.signatures) <= 1
        return replace(one, labels=self.labels, top_k=self.top_k) if labelled and one.method != "regress" else one


def combine(flags: SignatureFlags, spec_file: Path | None) -> ExportSpec:
    """The spec from `spec_file` or, without one, from `flags`. Raises SpecError if both speak about signatures."""
    if spec_file is None:
        return flags.spec()
    if flags != SignatureFlags():
        raise SpecError(
            f"Signatures come from {spec_file} or from flags, not from both.",
            hint="Leave --signature, --labels, --top-k and --image-* away, and say them in the file.",
        )
    return read_spec(spec_file)

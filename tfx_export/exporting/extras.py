"""What an export does beyond writing: prove it, warm it up, accelerate it. Options and order; the work is elsewhere."""

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from tfx_export.errors import SpecError
from tfx_export.exporting.files import require_file
from tfx_export.savedmodel.export_record import Precision


@dataclass(frozen=True)
class Extras:
    """What to do with a written export.

    `verify` compares it with its source, on the inputs in the .npz file `probe` or on generated ones.
    `warmup` is the number of generated warmup requests for each signature; `warmup_from` a file to take them from, then
    `warmup` limits their number. `accelerate` adds a LiteRT model of that precision.
    """

    verify: bool = True
    probe: Path | None = None
    warmup: int | None = None
    warmup_from: Path | None = None
    accelerate: Precision | None = None

    @property
    def steps(self) -> int:
        """How many steps an export with these has: five, and one for each thing beyond the writing."""
        return 5 + self.verify + bool(self.warmup or self.warmup_from) + bool(self.accelerate)

    def check(self) -> None:
        """Raise now the SpecError that would come up after the model has been written."""
        for what, path in (("probe", self.probe), ("warmup", self.warmup_from)):
            if path:
                require_file(what, path)
        if self.accelerate and find_spec("ai_edge_litert") is None:
            raise SpecError(
                "An accelerated model is verified with LiteRT, which is not installed.",
                hint="Install it: pip install 'tfx-export[litert]'",
            )


DEFAULT_EXTRAS = Extras()

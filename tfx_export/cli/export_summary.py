"""The output of an export command."""

from collections.abc import Mapping
from dataclasses import asdict

from rich.console import Console
from rich.filesize import decimal
from rich.table import Table
from rich.text import Text

from tfx_export.cli.extras_options import checks_table
from tfx_export.exporting.job import Exported
from tfx_export.savedmodel.export_record import Accelerated
from tfx_export.savedmodel.signature import Signature, TensorSpec


def as_dict(exported: Exported) -> dict[str, object]:
    """Returns the result for JSON. An unknown dimension or an unknown shape is null."""

    def tensors(specs: Mapping[str, TensorSpec]) -> dict[str, object]:
        return {name: {"dtype": spec.dtype, "shape": spec.shape} for name, spec in specs.items()}

    return {
        "path": str(exported.path),
        "version": exported.version,
        "source": exported.source,
        "bytes": exported.bytes,
        "weight_bytes": exported.weight_bytes,
        "seconds": round(exported.seconds, 3),
        "notes": list(exported.notes),
        "pruned": list(exported.pruned),
        "record": asdict(exported.record) if exported.record else None,
        "signatures": {
            signature.name: {
                "method": signature.method,
                "inputs": tensors(signature.inputs),
                "outputs": tensors(signature.outputs),
            }
            for signature in exported.signatures
        },
    }


def print_summary(exported: Exported, *, next_command: str) -> None:
    """Prints the written files, the checks, and the next command to type."""
    console = Console(soft_wrap=True, highlight=False)
    console.print(Text.assemble(f"Exported {exported.source} to ", (str(exported.path), "bold green")))
    for signature in exported.signatures:
        console.print()
        console.print(Text.assemble((signature.name, "bold"), "  ", (signature.method, "dim")))
        console.print(_tensors(signature))
    console.print()
    if exported.record and exported.record.verification:
        probe = exported.record.verification.probe or "none"
        console.print(f"Compared with the source in a fresh process, probe {probe}:")
        console.print(checks_table(exported.record.verification.checks))
    elif exported.record:
        console.print(Text("Not compared with the source (--no-verify).", style="yellow"))
    if exported.record and exported.record.accelerated:
        _print_accelerated(console, exported.record.accelerated)
    for note in exported.notes:
        console.print(Text(f"Note: {note}", style="yellow"))
    console.print(
        f"{decimal(exported.bytes)} ({decimal(exported.weight_bytes)} of weights) in {exported.seconds:.1f} s"
    )
    if exported.pruned:
        numbers = ", ".join(map(str, exported.pruned))
        console.print(f"Removed version{'s' if len(exported.pruned) > 1 else ''} {numbers}")
    console.print(Text.assemble("Next: ", (next_command, "bold")))


def _print_accelerated(console: Console, accelerated: Accelerated) -> None:
    if accelerated.signatures:
        console.print(f"{accelerated.file}, {accelerated.precision}, compared with the SavedModel:")
        console.print(checks_table(accelerated.checks))
    for name, reason in accelerated.left_out.items():
        console.print(Text(f"Not accelerated: {name}: {reason}", style="yellow"))


def _tensors(signature: Signature) -> Table:
    table = Table.grid(padding=(0, 2))
    for kind, specs in (("input", signature.inputs), ("output", signature.outputs)):
        for name, spec in specs.items():
            table.add_row(f"  {kind}", Text(name, style="cyan"), spec.dtype, _shape(spec))
    return table


def _shape(spec: TensorSpec) -> str:
    if spec.shape is None:
        return "any shape"
    return "(" + ", ".join("any" if size is None else str(size) for size in spec.shape) + ")"

"""Requests for measurements: single rows, from a file or generated from the signature."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from tfx_export.client import Client, Model, ServerError, calls
from tfx_export.errors import SpecError
from tfx_export.savedmodel.signature import DEFAULT_SIGNATURE, Signature
from tfx_export.tensorflow_import import import_tensorflow


def acceptable_requests(client: Client, model: str, version: Path, signature: str, probe: Path | None) -> list[bytes]:
    """Returns serialized PredictRequests of one row each that the served `model` accepts.

    `signature`: empty for the default signature, or the only one. `probe`: an .npz file of inputs. Raises SpecError if
    the model refuses them.
    """
    signatures = client.metadata(model)
    chosen = _choose(signatures, signature)
    target = Model(model, signature=chosen.name)
    refusal = ""
    for candidate in _candidates(chosen, version, probe):
        try:
            for inputs in candidate:
                client.predict(target, inputs)
        except ServerError as error:
            refusal = error.message
            continue
        return [bytes(calls.predict(target, inputs).request.SerializeToString()) for inputs in candidate]
    raise SpecError(
        f"The model refuses the {f'inputs in {probe}' if probe else 'generated inputs'} for {chosen.name}: {refusal}",
        hint=f"Give your own inputs: --probe data.npz, with the arrays {', '.join(chosen.inputs)}.",
    )


def _choose(signatures: Mapping[str, Signature], name: str) -> Signature:
    if name in signatures:
        return signatures[name]
    if not name and DEFAULT_SIGNATURE in signatures:
        return signatures[DEFAULT_SIGNATURE]
    if not name and len(signatures) == 1:
        return next(iter(signatures.values()))
    raise SpecError(
        f"There is no signature {name!r}." if name else "The model has several signatures.",
        hint=f"Choose one with --signature: {', '.join(sorted(signatures))}",
    )


def _candidates(signature: Signature, version: Path, probe: Path | None) -> Iterator[list[dict[str, np.ndarray]]]:
    import_tensorflow()
    from tfx_export.exporting.verification import probes
    from tfx_export.savedmodel.string_inputs import StringInputs

    if probe is None:
        for generated in probes.generate(signature, StringInputs(version, ["serve"]), rows=1):
            yield [dict(generated.requests[0])]
        return
    found = probes.from_file(probe, {signature.name: signature})
    if signature.name not in found:
        raise SpecError(
            f"{probe} lacks inputs of {signature.name}.", hint=f"It needs the arrays {', '.join(signature.inputs)}."
        )
    (inputs,) = found[signature.name].requests
    yield _single_rows(inputs)


def _single_rows(inputs: Mapping[str, np.ndarray]) -> list[dict[str, np.ndarray]]:
    """Splits `inputs` into single rows. Returns them unchanged if they have no common batch dimension."""
    sizes = {array.shape[:1] for array in inputs.values()}
    if len(sizes) != 1 or sizes == {()}:
        return [dict(inputs)]
    ((size,),) = sizes
    return [{name: array[row : row + 1] for name, array in inputs.items()} for row in range(size)]

"""Api: the operations of the server, independent of the protocol. gRPC and REST both call it."""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from serve import metrics
from serve.classify_regress import (
    INPUTS,
    Classification,
    InferenceTask,
    Regression,
    classification,
    classify_outputs,
    find_signature,
    regress_outputs,
    regression,
)
from serve.config import Config
from serve.errors import Code, ServeError
from serve.execution.runner import Runner
from serve.lifecycle.cluster_status import cluster_status
from serve.lifecycle.harness import Lease
from serve.lifecycle.manager import Manager
from serve.lifecycle.source import ServedModel
from serve.lifecycle.state import ModelRef, VersionStatus
from serve.models.catalog import Catalog
from serve.models.health import Health
from serve.models.peers import Peers
from tfx_export import wire
from tfx_export.savedmodel.signature import CLASSIFY, DEFAULT_SIGNATURE, PREDICT, REGRESS, Signature

logger = logging.getLogger("serve")

RELOAD_POLL_SECONDS = 0.02


class Api:
    """The operations of the server. Each failure is a ServeError with upstream's code and text."""

    def __init__(self, manager: Manager, catalog: Catalog, runner: Runner, config: Config, peers: Peers) -> None:
        self._manager = manager
        self._catalog = catalog
        self._runner = runner
        self._peers = peers
        self._check_method = config.enable_signature_method_name_check
        self._max_elements = config.max_tensor_elements
        self.health = Health(manager)
        # `with api.lease(ref)` keeps the version that `ref` means in memory. Raises NOT_FOUND if there is none.
        self.lease: Callable[[ModelRef], Lease] = manager.lease

    async def status(self, ref: ModelRef) -> list[VersionStatus]:
        """Returns the status of every version, the largest first. Ignores labels. NOT_FOUND for an unknown model."""
        others = await self._peers.call("statuses", ref)
        return cluster_status([self._manager.status(ref), *others])

    def models(self) -> list[ServedModel]:
        """Returns the configured models, available or not."""
        return self._manager.models()

    async def reload(self, config: wire.ModelServerConfig) -> None:
        """Serves exactly the models of a ModelServerConfig, and returns once the new ones are available.

        Raises INVALID_ARGUMENT or FAILED_PRECONDITION, and keeps the old list, if the config is rejected; UNKNOWN if a
        new model does not load.
        """
        message = config.SerializeToString()
        self._catalog.check(config)
        await self._peers.call("check_reload", message)
        added = self._catalog.reload(config)
        await asyncio.gather(self._available(added), self._peers.call("reload", message))

    async def _available(self, names: Sequence[str]) -> None:
        # Polls instead of waiting in a thread: if the client gives up, that thread could wait forever for a folder.
        while pending := self._manager.pending(names):
            logger.debug("Reload waits for %s", ", ".join(pending))
            await asyncio.sleep(RELOAD_POLL_SECONDS)

    async def metrics(self) -> metrics.Snapshot:
        """Returns the metrics of all processes of the server."""
        return metrics.combined([metrics.snapshot(), *await self._peers.call("metrics")])

    async def predict(
        self, lease: Lease, signature: Signature, inputs: Mapping[str, np.ndarray], outputs: Sequence[str] = ()
    ) -> dict[str, np.ndarray]:
        """Runs `signature` of the leased model and returns the named outputs, or all of them.

        Raises INVALID_ARGUMENT for inputs or outputs that do not match the signature.
        """
        if self._check_method:
            check_method_name(signature)
        if inputs.keys() != signature.inputs.keys():
            raise inputs_mismatch(signature, inputs)
        limit = self._max_elements
        for name, array in inputs.items():
            if limit and array.size > limit:
                raise too_large(name, array.shape, array.size, limit)
        wanted = check_outputs(signature, outputs) if outputs else tuple(signature.outputs)
        return await self._runner.run(lease, signature, inputs, wanted)

    async def classify(self, lease: Lease, signature: str, examples: NDArray[np.object_]) -> Classification:
        """Classifies serialized tf.Examples, `[examples]`. Raises INVALID_ARGUMENT if `signature` cannot classify."""
        found = find_signature(lease.model, signature)
        outputs = classify_outputs(found, check_method=self._check_method)
        return classification(await self._runner.run(lease, found, {INPUTS: examples}, outputs), len(examples))

    async def regress(self, lease: Lease, signature: str, examples: NDArray[np.object_]) -> Regression:
        """Regresses serialized tf.Examples, `[examples]`. Raises INVALID_ARGUMENT if `signature` cannot regress."""
        found = find_signature(lease.model, signature)
        outputs = regress_outputs(found, check_method=self._check_method)
        return regression(await self._runner.run(lease, found, {INPUTS: examples}, outputs), len(examples))

    async def multi_inference(
        self, lease: Lease, tasks: Sequence[InferenceTask], examples: NDArray[np.object_]
    ) -> list[Classification | Regression]:
        """Runs several signatures on the same examples and returns the results in the order of `tasks`.

        Raises INVALID_ARGUMENT if a signature is repeated, unknown or not suitable, UNIMPLEMENTED for a method that is
        neither CLASSIFY nor REGRESS.
        """
        seen: set[str] = set()
        for task in tasks:
            signature = find_signature(lease.model, task.signature, "Requested signature not found in model graph: {}")
            if signature.name in seen:
                raise ServeError(Code.INVALID_ARGUMENT, f"Duplicate evaluation of signature: {signature.name}")
            seen.add(signature.name)
            if task.method not in (CLASSIFY, REGRESS):
                raise ServeError(Code.UNIMPLEMENTED, f"Unsupported signature method_name: {task.method}")
        return [
            await (self.classify if task.method == CLASSIFY else self.regress)(lease, task.signature, examples)
            for task in tasks
        ]


def predict_signature(lease: Lease, signature: str) -> Signature:
    """Returns the signature that a predict request names. Raises FAILED_PRECONDITION if it does not exist."""
    name = signature or DEFAULT_SIGNATURE
    try:
        return lease.model.signatures[name]
    except KeyError:
        existing = ", ".join(sorted(lease.model.signatures)) or "none"
        raise ServeError(
            Code.FAILED_PRECONDITION, f'Serving signature key "{name}" not found. Signatures of the model: {existing}'
        ) from None


def check_method_name(signature: Signature) -> None:
    """Raises INTERNAL if Predict may not run the method (only with --enable_signature_method_name_check)."""
    if signature.method not in (PREDICT, CLASSIFY, REGRESS):
        raise ServeError(
            Code.INTERNAL,
            "Expected prediction signature method_name to be one of "
            f"{{{PREDICT}, {CLASSIFY}, {REGRESS}}}. Was: {signature.method}",
        )


def inputs_mismatch(signature: Signature, inputs: Mapping[str, object]) -> ServeError:
    """Returns the error for inputs that are not exactly those of `signature`."""
    sent, required = sorted(inputs), sorted(signature.inputs)
    if len(sent) == len(required):
        unknown = next(name for name in sent if name not in signature.inputs)
        return ServeError(
            Code.INVALID_ARGUMENT,
            f"input tensor alias not found in signature: {unknown}. "
            f"Inputs expected to be in the set {_braced(required)}.",
        )
    extra = [name for name in sent if name not in signature.inputs]
    missing = [name for name in required if name not in inputs]
    return ServeError(
        Code.INVALID_ARGUMENT,
        f"input size does not match signature: {len(sent)}!={len(required)} len({_braced(sent)}) != "
        f"len({_braced(required)}). Sent extra: {_braced(extra)}. Missing but required: {_braced(missing)}.",
    )


def too_large(name: str, shape: Sequence[int], size: int, limit: int) -> ServeError:
    """Returns the error for an input with more than `limit` elements."""
    return ServeError(
        Code.INVALID_ARGUMENT,
        f"input {name} of shape {list(shape)} has {size} values, at most {limit} are allowed (--max_tensor_elements)",
    )


def check_outputs(signature: Signature, outputs: Sequence[str]) -> tuple[str, ...]:
    """Returns the outputs to compute. Raises INVALID_ARGUMENT for unknown or repeated names."""
    for position, name in enumerate(outputs):
        if name not in signature.outputs:
            raise ServeError(
                Code.INVALID_ARGUMENT,
                f"output tensor alias not found in signature: {name} "
                f"Outputs expected to be in the set {_braced(sorted(signature.outputs))}.",
            )
        if name in outputs[:position]:
            raise ServeError(Code.INVALID_ARGUMENT, f"duplicate output tensor alias: {name}")
    return tuple(outputs)


def _braced(names: Sequence[str]) -> str:
    return "{" + ",".join(names) + "}"

"""Changes of SignatureDefs."""

from random import Random
from typing import Any

from tests.support.mutants.values import NAMES, SIZES, any_tensor

MAX_SIGNATURES = 10
METHODS = ("tensorflow/serving/predict", "tensorflow/serving/classify", "tensorflow/serving/regress")


def change_signatures(meta_graph: Any, chance: Random) -> int:
    """Adds up to ten changed signatures under new names. Returns their number."""
    names = sorted(meta_graph.signature_def)
    for number in range(MAX_SIGNATURES):
        name = chance.choice(names)
        signature = meta_graph.signature_def[f"mutant{number}"]
        signature.CopyFrom(meta_graph.signature_def[name])
        for _ in range(chance.choice((1, 1, 2, 3))):
            change_signature(meta_graph, signature, chance)
    return MAX_SIGNATURES


def change_signature(meta_graph: Any, signature: Any, chance: Random) -> None:  # noqa: C901
    tensors = chance.choice((signature.inputs, signature.inputs, signature.outputs))
    other = signature.outputs if tensors is signature.inputs else signature.inputs
    if not tensors:
        tensors["added"].name = any_tensor(meta_graph, chance)
    alias = chance.choice(sorted(tensors))
    info = tensors[alias]
    match chance.randrange(16):
        case 0:
            info.name = any_tensor(meta_graph, chance)
        case 1:
            info.dtype = chance.randint(0, 30)
        case 2:
            info.tensor_shape.dim.add(size=chance.choice(SIZES))
        case 3:
            info.tensor_shape.Clear()
            info.tensor_shape.unknown_rank = True
        case 4 if info.tensor_shape.dim:
            del info.tensor_shape.dim[chance.randrange(len(info.tensor_shape.dim))]
        case 5:
            del tensors[alias]
        case 6:
            info.name = chance.choice(NAMES)
        case 7:
            info.coo_sparse.values_tensor_name = info.name
            info.coo_sparse.indices_tensor_name = chance.choice((*NAMES, any_tensor(meta_graph, chance)))
        case 8:
            info.composite_tensor.components.add().name = chance.choice(NAMES)
        case 9:
            signature.method_name = chance.choice(("", "odd", "x" * 70000, *METHODS))
        case 10:
            tensors[chance.choice(("", " ", "x" * 70000, "\u2603", "a/b", "__", "inputs"))].CopyFrom(info)
        case 11:
            tensors["twin"].CopyFrom(info)
        case 12:
            other["passed_on"].CopyFrom(info)
        case 13:
            info.ClearField("name")
        case 14:
            default = signature.defaults[chance.choice((alias, "other"))]
            default.dtype = chance.randint(0, 30)
            default.tensor_shape.dim.add(size=chance.choice(SIZES))
            default.tensor_content = chance.choice((b"", b"1234"))
        case 15 if info.tensor_shape.dim:
            chance.choice(info.tensor_shape.dim).size = chance.choice(SIZES)

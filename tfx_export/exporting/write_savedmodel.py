"""Writes a source's graph and its signatures as a SavedModel, with TensorFlow's SavedModelBuilder."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import tensorflow as tf
from tensorflow.core.protobuf import meta_graph_pb2

from tfx_export.errors import PublishError
from tfx_export.exporting.source_graph import SourceGraph
from tfx_export.exporting.spec.model import ExportSpec
from tfx_export.savedmodel.publish import NOTHING_PUBLISHED
from tfx_export.savedmodel.signature import Signature


def write(source: SourceGraph, signatures: Sequence[Signature], folder: Path, spec: ExportSpec) -> None:
    """Writes a SavedModel into the empty folder `folder`. Raises PublishError if the file system refuses."""
    with _translated_write_errors(folder), source.graph.as_default():
        for asset in spec.assets:
            tf.compat.v1.add_to_collection(
                tf.compat.v1.GraphKeys.ASSET_FILEPATHS, tf.constant(str(asset), name="asset")
            )
        builder = tf.compat.v1.saved_model.Builder(str(folder))
        builder.add_meta_graph_and_variables(
            source.session,
            list(spec.tags),
            signature_def_map={signature.name: _signature_def(signature) for signature in signatures},
            assets_collection=tf.compat.v1.get_collection(tf.compat.v1.GraphKeys.ASSET_FILEPATHS),
            main_op=_main_op(),
            clear_devices=spec.clear_devices,
            strip_default_attrs=spec.strip_default_attrs,
        )
        builder.save(as_text=spec.as_text)


def _main_op() -> tf.Operation | None:
    """Returns the op with which a server fills the lookup tables after the variables are restored; None without any."""
    initializers = tf.compat.v1.get_collection(tf.compat.v1.GraphKeys.TABLE_INITIALIZERS)
    return tf.group(*initializers, name="init_tables") if initializers else None


def _signature_def(signature: Signature) -> meta_graph_pb2.SignatureDef:
    return meta_graph_pb2.SignatureDef.FromString(signature.to_proto().SerializeToString())


def _file_system_message(error: tf.errors.OpError, folder: Path) -> str:
    """Returns the message of the file system in a TensorFlow error, which follows the file's name and "; "."""
    lines = str(error.message).strip().splitlines()
    messages = [line.rpartition("; ")[2] for line in lines if str(folder) in line and "; " in line]
    return (messages or lines)[0].strip().rstrip(".")


@contextmanager
def _translated_write_errors(folder: Path) -> Iterator[None]:
    try:
        yield
    except tf.errors.OpError as error:
        raise PublishError(
            f"Cannot write the SavedModel below {folder.parent}: {_file_system_message(error, folder)}.",
            hint=NOTHING_PUBLISHED,
        ) from None

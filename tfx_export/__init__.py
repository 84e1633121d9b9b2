"""Exports trained TensorFlow models as SavedModels for serving, and verifies, compares, edits and rolls them back.

The functions correspond to the commands of `tfx-export`. Importing this package does not import TensorFlow: each name
is imported when it is first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    __version__: str

    from tfx_export.custom_ops import use_custom_ops as use_custom_ops
    from tfx_export.exporting.api import (
        export_function as export_function,
        export_keras as export_keras,
        export_savedmodel as export_savedmodel,
        export_session as export_session,
        verify as verify,
    )
    from tfx_export.exporting.job import Exported as Exported, Extras as Extras
    from tfx_export.exporting.sources.keras_options import KerasOptions as KerasOptions
    from tfx_export.exporting.spec.model import (
        ExportSpec as ExportSpec,
        FeatureSpec as FeatureSpec,
        ImageSpec as ImageSpec,
        InputSpec as InputSpec,
        SignatureSpec as SignatureSpec,
    )
    from tfx_export.exporting.verification.run_signature import run as run
    from tfx_export.savedmodel.diff import diff as diff
    from tfx_export.savedmodel.export_record import Check as Check, Verification as Verification
    from tfx_export.savedmodel.rollback import rollback as rollback
    from tfx_export.savedmodel.scan import scan as scan
    from tfx_export.savedmodel.signature import Signature as Signature
    from tfx_export.savedmodel.signature_editor import SignatureEditor as SignatureEditor
    from tfx_export.savedmodel.summary import show as show
    from tfx_export.savedmodel.version_history import versions as versions

# Public name -> the module that defines it.
_API = {
    "Check": "tfx_export.savedmodel.export_record",
    "ExportSpec": "tfx_export.exporting.spec.model",
    "Exported": "tfx_export.exporting.job",
    "Extras": "tfx_export.exporting.job",
    "FeatureSpec": "tfx_export.exporting.spec.model",
    "ImageSpec": "tfx_export.exporting.spec.model",
    "InputSpec": "tfx_export.exporting.spec.model",
    "KerasOptions": "tfx_export.exporting.sources.keras_options",
    "Signature": "tfx_export.savedmodel.signature",
    "SignatureSpec": "tfx_export.exporting.spec.model",
    "Verification": "tfx_export.savedmodel.export_record",
    "SignatureEditor": "tfx_export.savedmodel.signature_editor",
    "export_function": "tfx_export.exporting.api",
    "export_keras": "tfx_export.exporting.api",
    "export_savedmodel": "tfx_export.exporting.api",
    "export_session": "tfx_export.exporting.api",
    "use_custom_ops": "tfx_export.custom_ops",
    "verify": "tfx_export.exporting.api",
    "diff": "tfx_export.savedmodel.diff",
    "rollback": "tfx_export.savedmodel.rollback",
    "run": "tfx_export.exporting.verification.run_signature",
    "scan": "tfx_export.savedmodel.scan",
    "versions": "tfx_export.savedmodel.version_history",
    "show": "tfx_export.savedmodel.summary",
}

__all__ = ["__version__", *_API]


def __getattr__(name: str) -> object:
    if name == "__version__":
        from importlib.metadata import version

        return version("tfx-export")
    if name not in _API:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_API[name]), name)

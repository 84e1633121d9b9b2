"""The errors of this library, each with its exit code. None of them depends on a command line or a framework.

    TfxExportError
    ├── SourceError               2  The file given as a model cannot be used as one
    ├── SpecError                 2  A name, shape, flag or spec file does not fit the model or the rules of serving
    ├── SavedModelError           2  A folder is not a valid SavedModel, or lacks the requested part
    ├── VersionError              3  The version folder already exists, does not exist, or has an invalid name
    ├── PublishError              4  The file system refused: no space, no permission, not a folder
    ├── VerificationError         5  The export does not compute what its source computes
    ├── client.ServerError        6  A server refused a gRPC request or did not answer
    ├── client.rest.RestError     6  A server refused a REST request or did not answer
    └── load.generator.LoadError  6  A server under load gave no answers that could be measured

Each error carries `message` (what was wrong and what was expected) and `hint` (what exists, what to type; may be
empty). Exit code 0 means success, and 1 means that a check failed: a finding, a difference.
"""

from typing import ClassVar


class TfxExportError(Exception):
    """Base class of all errors that this library raises on purpose."""

    exit_code: ClassVar[int] = 2

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\n{self.hint}" if self.hint else self.message


class SourceError(TfxExportError):
    """The file given as a model cannot be used as one."""

    exit_code = 2


class SpecError(TfxExportError):
    """A name, shape, flag or spec file does not fit the model or the rules of serving."""

    exit_code = 2


class SavedModelError(TfxExportError):
    """A folder is not a valid SavedModel, or lacks the requested part."""

    exit_code = 2


class VersionError(TfxExportError):
    """The version folder already exists, does not exist, or has an invalid name."""

    exit_code = 3


class PublishError(TfxExportError):
    """The file system refused: no space, no permission, not a folder."""

    exit_code = 4


class VerificationError(TfxExportError):
    """The export does not compute what its source computes."""

    exit_code = 5

"""The errors of this library. None of them knows a command line or a framework.

    TfxExportError
    ├── SourceError              the file given as a model cannot be used as one
    ├── SpecError                a name, shape, flag or spec file does not fit the model or the rules of serving
    ├── SavedModelError          a folder that should be a SavedModel is not, or lacks what was asked of it
    ├── VersionError             the version folder exists already, or does not exist, or has no valid name
    ├── PublishError             the file system refused: no space, no permission, not a folder
    ├── VerificationError        the export does not compute what its source computes
    ├── client.ServerError       a server refused or did not answer, over gRPC
    └── client.rest.RestError    the same over REST

Each carries `message` (what was wrong and what was expected) and `hint` (what exists, what to type; may be empty).
"""


class TfxExportError(Exception):
    """Base of everything this library raises on purpose."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\n{self.hint}" if self.hint else self.message


class SourceError(TfxExportError):
    """The file given as a model cannot be used as one."""


class SpecError(TfxExportError):
    """A name, shape, flag or spec file does not fit the model or the rules of serving."""


class SavedModelError(TfxExportError):
    """A folder that should be a SavedModel is not, or lacks what was asked of it."""


class VersionError(TfxExportError):
    """The version folder exists already, does not exist, or has no valid name."""


class PublishError(TfxExportError):
    """The file system refused: no space, no permission, not a folder."""


class VerificationError(TfxExportError):
    """The export does not compute what its source computes."""

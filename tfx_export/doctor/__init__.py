"""`tfx-export doctor`: examines the installation and looks for known problems. Imports no TensorFlow.

findings = examine(Path("."))  # in the order of the report
healthy(findings)              # whether none of them is a problem
"""

from collections.abc import Iterable
from pathlib import Path

from tfx_export.doctor import mistakes, parts, versions
from tfx_export.doctor.finding import Finding, Level

__all__ = ["Finding", "Level", "examine", "healthy"]


def examine(folder: Path, *, deep: bool = False) -> list[Finding]:
    """Examines the installation, and `folder`, where models are read and written.

    `deep`: also run a computation with TensorFlow in a new process.
    """
    return [*versions.findings(), *versions.processor(), *parts.findings(deep=deep), *mistakes.findings(folder)]


def healthy(findings: Iterable[Finding]) -> bool:
    """Whether none of `findings` is a problem."""
    return not any(finding.level == "problem" for finding in findings)

"""What a machine has for this tool to work with, and what is known to go wrong on it. Imports no TensorFlow.

examine(Path("."))                                       # every Finding, in the order of a report
healthy(findings)                                        # no Finding is a problem
"""

from collections.abc import Iterable
from pathlib import Path

from tfx_export.doctor import mistakes, parts, versions
from tfx_export.doctor.finding import Finding, Level

__all__ = ["Finding", "Level", "examine", "healthy"]


def examine(folder: Path, *, deep: bool = False) -> list[Finding]:
    """Look at the installation, and at `folder`, where models are read and written.

    `deep` also starts TensorFlow in a process of its own and lets it compute.
    """
    return [*versions.findings(), *versions.processor(), *parts.findings(deep=deep), *mistakes.findings(folder)]


def healthy(findings: Iterable[Finding]) -> bool:
    """Whether everything that must work will."""
    return not any(finding.level == "problem" for finding in findings)

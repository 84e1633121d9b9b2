"""The package can be imported from a checkout without generated files: Python started there imports the checkout."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import tfx_export

PROGRAM = "from tfx_export import wire; print(wire.ModelSpec(name='mnist').name, wire.__file__)"
GENERATED = ("messages.pyi", "protocol.binpb")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    source = Path(tfx_export.__file__).parent
    copy = tmp_path / "checkout" / "tfx_export"
    copy.mkdir(parents=True)
    shutil.copy(source / "__init__.py", copy)
    shutil.copytree(source / "wire", copy / "wire", ignore=shutil.ignore_patterns(*GENERATED, "__pycache__"))
    return copy.parent


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A folder with the metadata of an installed package, and no other file of it."""
    metadata = tmp_path / "site" / "tfx_export-0.1.0.dist-info" / "METADATA"
    metadata.parent.mkdir(parents=True)
    metadata.write_text("Metadata-Version: 2.1\nName: tfx-export\nVersion: 0.1.0\n")
    return tmp_path / "site"


def run(checkout: Path, site: Path, monkeypatch: pytest.MonkeyPatch) -> subprocess.CompletedProcess[str]:
    monkeypatch.setenv("PYTHONPATH", str(site))
    return subprocess.run([sys.executable, "-c", PROGRAM], cwd=checkout, capture_output=True, text=True)


def test_the_descriptors_of_the_installed_package_are_read(
    checkout: Path, site: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed = site / "tfx_export" / "wire"
    installed.mkdir(parents=True)
    shutil.copy(Path(tfx_export.__file__).parent / "wire" / "protocol.binpb", installed)
    done = run(checkout, site, monkeypatch)
    assert done.stdout.split() == ["mnist", str(checkout / "tfx_export" / "wire" / "__init__.py")], done.stderr


def test_without_any_descriptors_the_error_says_what_to_type(
    checkout: Path, site: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = run(checkout, site, monkeypatch)
    assert done.stderr.splitlines()[-1] == (
        f"ImportError: {checkout}/tfx_export/wire/protocol.binpb has not been generated. "
        f"Type: pip install -e {checkout}"
    )

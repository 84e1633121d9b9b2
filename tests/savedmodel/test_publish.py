"""A version appears complete or not at all, also if an export is killed or several run at the same time."""

import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tfx_export.errors import PublishError, VersionError
from tfx_export.savedmodel.publish import prune, publish, staging
from tfx_export.savedmodel.version_folders import list_versions, resolve_version

WRITER = """
import sys, time
from pathlib import Path
from tfx_export.savedmodel.publish import publish, staging
with staging(Path(sys.argv[1])) as staged:
    (staged / "saved_model.pb").write_text("content")
    print(staged, flush=True)
    if sys.argv[2] == "hang":
        sys.stdin.read()
    publish(staged, sys.argv[2])
"""


def put(model: Path, version: str | int, content: str = "x", *, overwrite: bool = False) -> Path:
    with staging(model) as staged:
        (staged / "saved_model.pb").write_text(content)
        return publish(staged, version, overwrite=overwrite)


def test_next_counts_up_and_keeps_existing_folder_names(tmp_path: Path) -> None:
    assert [put(tmp_path / "a" / "m", "next").name for _ in range(3)] == ["1", "2", "3"]
    assert put(tmp_path / "a" / "m", 7).name == "7"
    assert put(tmp_path / "a" / "m", "next").name == "8"
    assert int(put(tmp_path / "a" / "m", "timestamp").name) > 1_600_000_000


@pytest.mark.parametrize("version", ["-1", "1.5", "newest", "", 2**63, "9" * 5000])
def test_an_invalid_version_is_refused(tmp_path: Path, version: str | int) -> None:
    with pytest.raises(VersionError, match="is not a version number"):
        resolve_version(tmp_path, version)


def test_a_number_beyond_int64_is_not_a_version(tmp_path: Path) -> None:
    for name in ("20261130162640123456", "1", "0" * 30 + "2"):
        (tmp_path / name).mkdir()
    assert list(list_versions(tmp_path)) == [2, 1]
    assert put(tmp_path, "next").name == "3"
    assert prune(tmp_path, 1) == (2, 1)
    put(tmp_path, 2**63 - 1)
    for wanted in ("next", "timestamp"):
        with pytest.raises(VersionError, match="There is no number after the newest version, 9223372036854775807"):
            put(tmp_path, wanted)
    with pytest.raises(VersionError, match="exists already") as caught:
        put(tmp_path, 2**63 - 1)
    assert caught.value.hint.endswith("Replace it with --overwrite.")
    assert sorted(path.name for path in tmp_path.iterdir() if path.name[0] != ".") == [
        "20261130162640123456",
        "3",
        "9223372036854775807",
    ]


def test_an_existing_version_is_refused_also_with_leading_zeros(tmp_path: Path) -> None:
    (tmp_path / "007").mkdir()
    with pytest.raises(VersionError, match=r"Version 7 exists already"):
        put(tmp_path, 7)
    assert [path.name for path in tmp_path.iterdir()] == ["007"]


def test_a_failed_export_removes_the_folders_that_it_created(tmp_path: Path) -> None:
    model = tmp_path / "models" / "m"

    def fail_half_way() -> None:
        with staging(model) as staged:
            (staged / "half").write_text("x")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail_half_way()
    assert not (tmp_path / "models").exists()


def test_overwrite_restores_the_old_version_if_the_rename_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(tmp_path, 1, "old")
    rename = Path.rename

    def fail_to_publish(self: Path, target: Path) -> Path:
        if "staging" in self.name:
            raise OSError(5, "Input/output error")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", fail_to_publish)
    with pytest.raises(PublishError, match="Input/output error"):
        put(tmp_path, 1, "new", overwrite=True)
    assert (tmp_path / "1" / "saved_model.pb").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["1"]


def test_the_remains_of_a_killed_export_are_removed_but_not_the_folder_of_a_running_one(tmp_path: Path) -> None:
    def start() -> tuple[subprocess.Popen[str], Path]:
        process = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(tmp_path), "hang"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdout
        return process, Path(process.stdout.readline().strip())

    living, its_folder = start()
    killed, left = start()
    with living, killed:
        killed.send_signal(signal.SIGKILL)
        killed.wait()
        assert left.exists()
        put(tmp_path, "next")
        assert not left.exists()
        assert its_folder.exists()
        assert list(list_versions(tmp_path)) == [1]
        living.kill()


def test_a_version_is_restored_if_the_export_was_killed_while_replacing_it(tmp_path: Path) -> None:
    put(tmp_path, 4, "old").rename(tmp_path / ".tfx-export-replaced-4-abcdef")
    put(tmp_path, 5)
    assert (tmp_path / "4" / "saved_model.pb").read_text() == "old"


def test_concurrent_exports_get_different_versions(tmp_path: Path) -> None:
    def run(_: int) -> int:
        return subprocess.run(
            [sys.executable, "-c", WRITER, str(tmp_path / "m"), "next"], check=True, stdout=subprocess.DEVNULL
        ).returncode

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(run, range(8)))
    assert list(list_versions(tmp_path / "m")) == [8, 7, 6, 5, 4, 3, 2, 1]


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root can write everywhere")
def test_the_error_names_a_folder_that_is_not_writable(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(PublishError, match="ermission"):
        put(tmp_path / "m", 1)


def test_the_error_names_a_file_where_a_folder_is_needed(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(PublishError, match="Cannot write below"):
        put(tmp_path / "file" / "m", 1)

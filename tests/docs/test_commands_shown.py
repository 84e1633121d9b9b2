"""Every command of the README and the documentation runs, and its output has the lines that the page shows."""

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.docs.page import NOT_RUN, PAGES, ROOT, RUN, SHOWN, blocks, script, shape
from tests.support.server import RunningServer, running

README = ROOT / "README.md"
# The exports of this page are compared with their source, as they are for users. On the others this would take too
# long, except for the first export of a page that shows the comparison.
ALL_VERIFIED = "verification"
SHOWN_COMPARISON = "Compared with the source"
RUNNABLE = [page for page in PAGES if page != README and any(block.language in RUN for block in blocks(page))]
BLOCK_ENDS = "---- end of block ----"

PRELUDE = f"""
set -eo pipefail
tfx-export() {{
    if [ "$1" = serve ]; then
        exec tfx-export serve --port=$GRPC --rest_api_port=$REST --ready_file=ready.json "${{@:2}}"
    fi
    if [ "$1" = keras ]; then
        set -- "$@" $NO_VERIFY
        [ "$VERIFY" = all ] || NO_VERIFY=--no-verify
    fi
    command tfx-export "$@"
}}
python() {{
    # The test of the demo runs train.py. Its files are in the folder already.
    if [ "$1" = examples/digits/train.py ]; then ls digits.h5 digits.keras held_out.npz; else command python "$@"; fi
}}
curl() {{ command curl --silent --show-error "$@"; }}
wait_for_server() {{  # until it has written its ready file, which it does last
    until [ -e ready.json ]; do kill -0 $!; sleep 0.1; done
    rm ready.json
}}
end_block() {{ echo "{BLOCK_ENDS}"; }}
stop_servers() {{ for job in $(jobs -p); do kill "$job" 2> /dev/null || true; wait "$job" || true; done; }}
trap stop_servers EXIT
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder where commands are typed: like a checkout, with the files that examples/digits/train.py writes."""
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    folder = tmp_path_factory.mktemp("docs")
    for name in ("examples", "templates"):
        (folder / name).symlink_to(ROOT / name)
    subprocess.run([sys.executable, "examples/digits/train.py", "."], cwd=folder, check=True)
    (folder / "labels.txt").write_text("zero one two three four five six seven eight nine".replace(" ", "\n"))
    with np.load(folder / "held_out.npz") as held_out:
        np.savez(folder / "data.npz", image=held_out["image"][:8])
    return folder


@pytest.fixture(scope="module")
def after_readme(folder: Path) -> Path:
    """The folder after the README's commands, which start without models."""
    shutil.rmtree(folder / "models", ignore_errors=True)
    follow(README, folder)
    return folder


@pytest.fixture(scope="module")
def server(after_readme: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """The server for pages that do not start one."""
    with running(tmp_path_factory.mktemp("server"), str(after_readme / "models/digits"), "--front=python") as started:
        yield started


def test_readme_commands_print_the_lines_it_shows(after_readme: Path) -> None:
    assert (after_readme / "models/digits/1/saved_model.pb").is_file()


@pytest.mark.slow
@pytest.mark.parametrize("page", RUNNABLE, ids=lambda page: page.stem)
def test_page_commands_print_the_lines_it_shows(page: Path, after_readme: Path, server: RunningServer) -> None:
    follow(page, after_readme, server)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_block_is_run_or_of_a_kind_that_is_not(page: Path) -> None:
    for block in blocks(page):
        assert block.language in RUN | SHOWN, f"{block.language!r} is not a fence of this documentation: {block.text}"
        if block.language == "bash":
            lines = block.text.replace("\\\n", "").splitlines()
            assert all(line.startswith(NOT_RUN) for line in lines if line), block.text
        elif block.language == "text":
            assert not block.text.startswith(("tfx-export ", "curl ", "python ")), block.text


def follow(page: Path, folder: Path, server: RunningServer | None = None) -> None:
    """Runs the page's blocks in one shell and compares their output with the lines that the page shows."""
    runnable = [block for block in blocks(page) if block.language in RUN]
    if server is None or any(block.starts_server for block in runnable):
        grpc, rest = free_ports()
    else:
        grpc, rest = (address.rpartition(":")[2] for address in (server.grpc, server.rest))
    text = PRELUDE + "".join(f"{script(block)}\nend_block\n" for block in runnable)
    text = text.replace("8500", grpc).replace("8501", rest)
    paths = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = os.environ | {"PATH": paths, "GRPC": grpc, "REST": rest, "PYTHONUNBUFFERED": "1"}
    environment["VERIFY"] = "all" if page.stem == ALL_VERIFIED else "first"
    shows_comparison = SHOWN_COMPARISON in page.read_text(encoding="utf-8")
    environment["NO_VERIFY"] = "" if page.stem == ALL_VERIFIED or shows_comparison else "--no-verify"
    done = subprocess.run(
        ["bash"], input=text, cwd=folder, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    assert done.returncode == 0, done.stdout
    assert "Traceback" not in done.stdout, done.stdout
    for block, printed in zip(runnable, done.stdout.split(BLOCK_ENDS), strict=False):
        lines = "".join(map(shape, printed.splitlines()))
        for line in block.output:
            assert shape(line) in lines, f"Not printed by\n{block.text}\n{line!r}\nbut\n{printed}"


def free_ports() -> tuple[str, str]:
    """Returns two ports that are free now."""
    with socket.socket() as first, socket.socket() as second:
        for each in (first, second):
            each.bind(("127.0.0.1", 0))
        return str(first.getsockname()[1]), str(second.getsockname()[1])

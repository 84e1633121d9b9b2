"""Serves mermaid from the site itself, so that pages with diagrams load nothing from unpkg.com.

A hook of mkdocs. The first build downloads one pinned release with npm and keeps it in `build/mermaid`. Without npm or
network the build still succeeds, and the theme loads mermaid from unpkg.com when a page with a diagram is opened.
"""

import json
import logging
import subprocess
import tarfile
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page
from mkdocs.utils import get_relative_url

RELEASE = "mermaid@11.17.2"
INTEGRITY = "sha512-V6K3C8EBdEsPFZXSKMJe6ppQOENxuHARr9GvHX4hh47lAbhMRD9qf4oEK7LoaRQxULMa80/qt5gHO73aCleBBg=="
SCRIPT = Path(__file__).parents[2] / "build" / "mermaid" / f"{RELEASE.replace('@', '-')}.min.js"
URI = f"assets/javascripts/{SCRIPT.name}"
DOWNLOAD_SECONDS = 60

log = logging.getLogger("mkdocs.hooks.mermaid")


def on_files(files: Files, config: MkDocsConfig) -> None:
    """Adds the script to the site."""
    if SCRIPT.is_file() or _download():
        files.append(File.generated(config, URI, abs_src_path=str(SCRIPT)))


def on_post_page(output: str, page: Page, **_: Any) -> str:
    """Loads the script (3.6 MB) in pages that have a diagram."""
    if 'class="mermaid"' not in output or not SCRIPT.is_file():
        return output
    return output.replace("</body>", f'<script src="{get_relative_url(URI, page.url)}"></script></body>')


def _download() -> bool:
    """Whether npm delivered the release with the expected checksum."""
    folder = SCRIPT.parent
    folder.mkdir(parents=True, exist_ok=True)
    command = ["npm", "pack", RELEASE, "--json", f"--pack-destination={folder}"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=DOWNLOAD_SECONDS)
    except (OSError, subprocess.SubprocessError) as error:
        log.info("npm cannot download %s: %s", RELEASE, error)
        return False
    packed = json.loads(done.stdout)[0]
    archive = folder / packed["filename"]
    try:
        if packed["integrity"] != INTEGRITY:
            log.info("%s has an unexpected checksum: %s", RELEASE, packed["integrity"])
            return False
        with tarfile.open(archive) as tar:
            member = tar.extractfile("package/dist/mermaid.min.js")
            assert member is not None
            archive.write_bytes(member.read())
        archive.rename(SCRIPT)
    finally:
        archive.unlink(missing_ok=True)
    return True

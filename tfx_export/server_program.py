"""How the toolkit starts the server: as a program of its own."""

import sys

# A `serve.py` beside the user's script must not be taken for the server: the working directory is kept off the path.
_SAFE_PATH = (
    ["-P", "-m", "serve"]
    if sys.version_info >= (3, 11)
    else ["-c", "import sys; del sys.path[0]; import runpy; runpy.run_module('serve', run_name='__main__')"]
)

# To be followed by the server's flags.
SERVER_PROGRAM: tuple[str, ...] = (sys.executable, *_SAFE_PATH)

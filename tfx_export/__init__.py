"""From a trained TensorFlow model to a served one. Importing this package imports no TensorFlow."""

from importlib.metadata import version

__version__ = version("tfx-export")

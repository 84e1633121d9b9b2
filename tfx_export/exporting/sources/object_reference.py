"""Imports objects of the user's own code by reference: `module:attribute`."""

import sys
from importlib import import_module
from pathlib import Path
from typing import Any

from tfx_export.errors import SourceError, SpecError


def import_object(reference: str) -> Any:
    """Imports the object `module:attribute`; the working folder is searched for modules too.

    Raises SpecError if the reference has another form, SourceError if the object does not exist or its module fails.
    """
    module_name, colon, attribute = reference.partition(":")
    if not (module_name and colon and attribute):
        raise SpecError(
            f"{reference!r} does not name an object.", hint="Write module:attribute, for example: model:serve"
        )
    sys.path.insert(0, str(Path.cwd()))
    try:
        found = import_module(module_name)
        for name in attribute.split("."):
            found = getattr(found, name)
    except ModuleNotFoundError as error:
        raise SourceError(f"There is no module {error.name!r}, from which {reference} would be imported.") from None
    except AttributeError:
        names = sorted(name for name in vars(found) if not name.startswith("_"))
        raise SourceError(f"{module_name} has no {attribute!r}.", hint=f"It has: {', '.join(names)}") from None
    except Exception as error:  # the user's module may raise anything on import
        raise SourceError(f"Importing {module_name} failed: {type(error).__name__}: {error}") from error
    finally:
        sys.path.pop(0)
    return found

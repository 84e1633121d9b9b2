"""Imports objects of the user's own code by reference: `module:attribute`."""

import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

from tfx_export.errors import SourceError, SpecError
from tfx_export.exporting.user_code import describe as describe_error, is_signal
from tfx_export.recognise import describe


def import_object(reference: str) -> Any:
    """Imports the object `module:attribute`; the working folder is searched for modules too.

    Raises SpecError if the reference has another form, SourceError if the object does not exist or its module fails.
    """
    module_name, colon, attribute = reference.partition(":")
    if not (module_name and colon and attribute):
        hint = "Write module:attribute, for example: model:serve"
        path = Path(reference)
        if path.exists():
            message, advice = describe(path, "a function")
            raise SpecError(message, hint=f"{hint}\n{advice}".rstrip())
        raise SpecError(f"{reference!r} does not name an object.", hint=hint)
    if module_name.endswith(".py") or "/" in module_name:
        file = Path(module_name)
        where = "" if file.parent == Path() else f" in the folder {file.parent}"
        raise SpecError(f"{module_name} names a file, not a module.", hint=f"Write {file.stem}:{attribute}{where}")
    sys.path.insert(0, str(Path.cwd()))
    try:
        return _find(import_module(module_name), attribute, module_name)
    except SourceError:
        raise
    except ModuleNotFoundError as error:
        if error.name not in (module_name, module_name.partition(".")[0]):
            raise SourceError(f"Importing {module_name} failed: there is no module {error.name!r}.") from error
        raise SourceError(f"There is no module {error.name!r}, from which {reference} would be imported.") from None
    except BaseException as error:  # the user's module may raise anything on import
        if is_signal(error):
            raise
        raise SourceError(
            f"Importing {module_name} failed: {describe_error(error)}", hint=_import_hint(error)
        ) from error
    finally:
        sys.path.pop(0)


def _find(module: ModuleType, attribute: str, module_name: str) -> Any:
    found: Any = module
    for name in attribute.split("."):
        try:
            found = getattr(found, name)
        except AttributeError:
            names = sorted(name for name in dir(found) if not name.startswith("_"))
            raise SourceError(f"{module_name} has no {attribute!r}.", hint=f"It has: {', '.join(names)}") from None
    return found


def _import_hint(error: BaseException) -> str:
    if isinstance(error, SystemExit | KeyboardInterrupt):
        return "A script that runs its program on import needs: if __name__ == '__main__':"
    return ""

"""What `safe-sqs run` has every Python process do at start: wait for botocore, and guard it before any client is made.

The folder of this file is first in PYTHONPATH. Nothing is imported here but what is loaded already, so that the program
can load what it wants first (gevent). The program's own sitecustomize runs afterwards. Where safe_sqs cannot be set up,
whatever the reason, botocore cannot be imported, and all else goes on. So this file has to work in every Python that
may come along, Python 2 as well, and its types are in comments.
"""

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any  # noqa: F401

_BOTOCORES = ("botocore.client", "awscli.botocore.client")
_FOLDER = os.path.dirname(__file__)  # noqa: PTH120
_NO_BOTOCORE = (
    "safe-sqs run cannot guard this program, so it gets no botocore: %s: %s. "
    "Install safe_sqs for %s (Python %d.%d), or start the program without safe-sqs run"
)


class Guard:
    """A finder that finds nothing of its own: asked for botocore, it sets up the guard before botocore is loaded."""

    is_of_safe_sqs_run = True
    own_module = sys.modules.get(__name__)  # Python 2 empties a module that nobody holds

    def __init__(self):
        # type: () -> None
        self._settings = _settings()
        self._is_busy = False

    def find_spec(self, name, path=None, target=None):
        # type: (str, Any, Any) -> Any
        """Find botocore as the others do, guarded. Raises ImportError where it cannot be guarded."""
        if name not in _BOTOCORES or self not in sys.meta_path:
            return None
        self.set_up()
        sys.meta_path.remove(self)
        # The finders have changed under whoever goes through them, so all of them are asked here.
        for finder in list(sys.meta_path):
            spec = finder.find_spec(name, path, target) if hasattr(finder, "find_spec") else None
            if spec is not None:
                return spec
        return None

    find_module = find_spec  # Python 2

    def set_up(self):
        # type: () -> None
        """Install the guard. Raises ImportError, with the reason, where that is not possible."""
        try:
            self.install()
        except Exception as error:
            version = sys.version_info[:2]
            raise ImportError(_NO_BOTOCORE % ((type(error).__name__, error, sys.executable) + version))  # noqa: B904

    def install(self):
        # type: () -> None
        """Install the guard, with the settings that the process was started with. Raises whatever goes wrong."""
        if self._is_busy:
            raise RuntimeError("safe_sqs itself asks for botocore before it is installed")
        self._is_busy = True
        now = _settings()
        _say(self._settings)
        try:
            from safe_sqs.process_wide import install, installed

            if not installed():
                install()
        finally:
            self._is_busy = False
            _say(now)


def _settings():
    # type: () -> dict[str, str]
    """The variables of safe_sqs."""
    return {name: value for name, value in os.environ.items() if name.startswith("SAFE_SQS_")}


def _say(settings):
    # type: (dict[str, str]) -> None
    """Have the environment hold these settings, and no others."""
    now = _settings()
    for name in now:
        if name not in settings:
            del os.environ[name]
    for name in settings:
        if now.get(name) != settings[name]:
            os.environ[name] = settings[name]


def _arm():
    # type: () -> None
    if any(getattr(finder, "is_of_safe_sqs_run", False) for finder in sys.meta_path):
        return
    guard = Guard()
    sys.meta_path.insert(0, guard)
    if any(name in sys.modules for name in _BOTOCORES):
        try:
            guard.set_up()
        except ImportError as error:
            raise SystemExit(str(error))  # noqa: B904
    _stay_first_on_exec()


# --- other launchers ---------------------------------------------------------------------------------------------


def _stay_first_on_exec():
    # type: () -> None
    """Other launchers put a folder with their own sitecustomize before ours, and become the program by `os.execv` or
    what is made of it. Not all of them run the sitecustomize that comes next; this one does.
    """
    execv = os.execv

    def stay_first(path, argv):
        # type: (Any, Any) -> Any
        _stay_first()
        return execv(path, argv)

    stay_first.__name__ = "execv"
    stay_first.__doc__ = execv.__doc__
    os.execv = stay_first


def _stay_first():
    # type: () -> None
    folders = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    if _FOLDER in folders[1:]:
        others = [folder for folder in folders if folder != _FOLDER]
        os.environ["PYTHONPATH"] = os.pathsep.join([_FOLDER] + others)


def _run_next():
    # type: () -> None
    """Run the sitecustomize that would have run without this one. What it raises is for Python to handle, as ever."""
    sys.path[:] = [folder for folder in sys.path if folder.rstrip(os.sep) != _FOLDER]
    if __name__ != "sitecustomize" or os.environ.get("SAFE_SQS_RUN") == "probe":
        return
    try:
        del sys.modules[__name__]
        import sitecustomize  # type: ignore[import-not-found]  # noqa: F401
    finally:
        _stay_first()


_arm()
_run_next()

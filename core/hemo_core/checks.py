"""The checks behind ``hemo-batch doctor``. Each says what it saw and, where something is amiss, what to do."""

from __future__ import annotations

import os
import platform
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from hemo_core import __version__
from hemo_core.errors import BrokerError, HemoError, SinkError
from hemo_core.extras import MODULES, missing_modules
from hemo_core.files import check_writable

if TYPE_CHECKING:
    from hemo_core.bundle import Bundle
    from hemo_core.bundle.keys import PublicKey

State = Literal["ok", "absent", "problem"]

_PYTHONS = ((3, 11), (3, 13))
_PACKAGES = ("numpy", "pydicom", "opencv-python-headless", "nibabel", "celery", "kombu", "redis")
_SHM = Path("/dev/shm")  # noqa: S108 - looked at, not written to
_LEAST_SHM = 64 << 20
_LEAST_DISK = 2 << 30
_CODECS = {  # PS3.5 A.4: what archives hold CT in
    "JPEG lossless": "1.2.840.10008.1.2.4.70",
    "JPEG-LS": "1.2.840.10008.1.2.4.80",
    "JPEG 2000": "1.2.840.10008.1.2.4.90",
    "RLE": "1.2.840.10008.1.2.5",
}


@dataclass(frozen=True, slots=True)
class Check:
    """One finding. ``absent`` is optional and not there; ``problem`` must be mended.

    Attributes:
        detail: what was seen.
        hint: what to do; empty where nothing is to be done.
    """

    name: str
    state: State
    detail: str
    hint: str = ""

    def to_json(self) -> dict[str, Any]:
        """JSON-ready form."""
        return asdict(self)


def run_checks(*, broker: str | None, bundle: Path | None, trusted: Sequence[PublicKey], folder: Path) -> list[Check]:
    """All checks, cheap ones first.

    Args:
        broker: Redis URL; None for the private one.
        bundle: None for the released one.
        trusted: keys one of which must have signed it; none: signatures are not asked for.
        folder: where reports are to go.
    """
    opened, bundle_check = _bundle(bundle, trusted)
    return [
        _python(),
        *_packages(),
        *_extras(),
        _codecs(),
        _broker(broker) if broker else _server(),
        bundle_check,
        _device(opened),
        _disk(folder),
        _shared_memory(),
    ]


def _python() -> Check:
    detail = f"{platform.python_version()}, {platform.machine()}, {os.cpu_count()} cores, hemo-batch {__version__}"
    if _PYTHONS[0] <= sys.version_info[:2] <= _PYTHONS[1]:
        return Check("Python", "ok", detail)
    return Check("Python", "problem", detail, "use Python 3.11, 3.12 or 3.13")


def _packages() -> Iterator[Check]:
    found = {name: _version(name) for name in _PACKAGES}
    absent = [name for name, number in found.items() if number is None]
    if absent:
        yield Check("packages", "problem", f"{', '.join(absent)} not installed", "pip install hemo-batch")
    else:
        yield Check("packages", "ok", ", ".join(f"{name} {number}" for name, number in found.items()))
    if _version("onnxruntime") and _version("onnxruntime-gpu"):
        hint = "pip uninstall both, then install the extra [worker] or the extra [gpu], not both"
        yield Check("onnxruntime", "problem", "onnxruntime and onnxruntime-gpu overwrite each other", hint)


def _extras() -> Iterator[Check]:
    for extra in MODULES:
        absent = missing_modules(extra)
        if absent:
            hint = f"pip install 'hemo-batch[{extra}]' if this machine is to do that"
            yield Check(f"[{extra}]", "absent", f"{', '.join(absent)} not installed", hint)
        else:
            yield Check(f"[{extra}]", "ok", "installed")


def _codecs() -> Check:
    from pydicom.pixels.decoders.base import get_decoder
    from pydicom.uid import UID

    absent = [name for name, uid in _CODECS.items() if not get_decoder(UID(uid)).is_available]
    if absent:
        return Check("DICOM codecs", "problem", f"none for {', '.join(absent)}", "pip install hemo-batch again")
    return Check("DICOM codecs", "ok", f"{', '.join(_CODECS)} and uncompressed")


def _broker(url: str) -> Check:
    from redis.exceptions import NoPermissionError, RedisError

    from hemo_core.jobs import JobStore

    def look() -> str:
        store = JobStore(url)
        try:
            store.ping()
            version = store.client.info("server")["redis_version"]
        except NoPermissionError:
            version = "of a version that this user may not ask for"
        except RedisError as error:
            raise BrokerError(f"{store.safe_url}: {error}") from error
        finally:
            store.close()
        return f"{store.safe_url} answers, Redis {version}"

    return _checked("broker", look)


def _server() -> Check:
    from hemo_core.jobs.private_broker import find_server

    check = _checked("private Redis", lambda: str(find_server()))
    return Check(check.name, "absent", check.detail, check.hint) if check.state == "problem" else check


def _bundle(path: Path | None, trusted: Sequence[PublicKey]) -> tuple[Bundle | None, Check]:
    from hemo_core.bundle import open_bundle, released_bundle

    try:
        opened = open_bundle(path or released_bundle(), trusted)
    except HemoError as error:
        return None, _problem("bundle", error)
    signed = f", signed by the trusted key {opened.signed_by[:12]}…" if opened.signed_by else ""
    identity = f"{opened.name} {opened.version}, digest {opened.digest[:12]}… as sealed{signed}"
    return opened, Check("bundle", "ok", identity)


def _device(bundle: Bundle | None) -> Check:
    """What a real session reports: onnxruntime's own list of providers says CUDA even where CUDA does not work."""
    if find_spec("onnxruntime") is None:
        return Check("device", "absent", "onnxruntime not installed: this machine can submit but not score")
    if bundle is None:
        return Check("device", "absent", "not tried: no bundle")
    from hemo_core.inference.session import Engine

    wanted: Literal["cuda", "cpu"] = "cuda" if _version("onnxruntime-gpu") else "cpu"
    check = _checked("device", lambda: f"a session runs on {Engine(bundle, device=wanted).provider}")
    if check.state == "ok" and wanted == "cpu" and _has_nvidia():
        hint = "for the GPU: install the extra [gpu] in an environment of its own"
        return Check("device", "ok", f"{check.detail}; this machine has an NVIDIA GPU that is not used", hint)
    return check


def _disk(folder: Path) -> Check:
    try:
        free = shutil.disk_usage(check_writable(folder)).free
    except SinkError as error:
        return _problem("disk", SinkError(error.message, path=error.path, hint="name another folder with --out"))
    detail = f"{free / 1e9:.1f} GB free for {folder.resolve()}"
    if free < _LEAST_DISK:
        return Check("disk", "problem", detail, "a scan needs up to 5 MB of reports; free space or use another --out")
    return Check("disk", "ok", detail)


def _shared_memory() -> Check:
    if not _SHM.is_dir():
        return Check("shared memory", "absent", f"no {_SHM}")
    total = shutil.disk_usage(_SHM).total
    detail = f"{total / 1e6:.0f} MB at {_SHM}"
    if total < _LEAST_SHM:
        return Check("shared memory", "problem", detail, "in a container: --shm-size=256m")
    return Check("shared memory", "ok", detail)


def _checked(name: str, look: Callable[[], str]) -> Check:
    try:
        return Check(name, "ok", look())
    except HemoError as error:
        return _problem(name, error)
    except Exception as error:  # noqa: BLE001 - what breaks a check is what it was to find: it must not end the others
        return Check(name, "problem", f"{type(error).__name__}: {error}", "mend or reinstall what this names")


def _problem(name: str, error: HemoError) -> Check:
    where = f"{error.path}: " if error.path else ""
    return Check(name, "problem", f"{where}{error.message}", error.hint or "")


def _has_nvidia() -> bool:
    return Path("/proc/driver/nvidia/version").exists()


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None

"""The NVIDIA cards that CUDA would show, asked from the driver's own library (NVML) through ctypes."""

from __future__ import annotations

import ctypes
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

_SIGNATURES: dict[str, tuple[Any, ...]] = {
    "nvmlInit_v2": (),
    "nvmlShutdown": (),
    "nvmlSystemGetDriverVersion": (ctypes.c_char_p, ctypes.c_uint),
    "nvmlSystemGetCudaDriverVersion_v2": (ctypes.POINTER(ctypes.c_int),),
    "nvmlDeviceGetCount_v2": (ctypes.POINTER(ctypes.c_uint),),
    "nvmlDeviceGetHandleByIndex_v2": (ctypes.c_uint, ctypes.POINTER(ctypes.c_void_p)),
    "nvmlDeviceGetHandleByUUID": (ctypes.c_char_p, ctypes.POINTER(ctypes.c_void_p)),
    "nvmlDeviceGetName": (ctypes.c_void_p, ctypes.c_char_p, ctypes.c_uint),
    "nvmlDeviceGetUUID": (ctypes.c_void_p, ctypes.c_char_p, ctypes.c_uint),
    "nvmlDeviceGetMemoryInfo": (ctypes.c_void_p, ctypes.c_void_p),
}
_SUCCESS, _NOT_SUPPORTED = 0, 3
_TEXT_BYTES = 96
"""NVML_DEVICE_NAME_V2_BUFFER_SIZE, which is also enough for a UUID and a version."""


class DriverState(StrEnum):
    """Whether CUDA devices can be used, and what stands against it."""

    OK = "the NVIDIA driver works"
    NO_GPU = "no NVIDIA GPU in this machine"
    HIDDEN = "CUDA_VISIBLE_DEVICES hides every NVIDIA GPU"
    MISSING = "an NVIDIA GPU is present but its driver does not answer"


@dataclass(frozen=True, slots=True)
class Gpu:
    """One CUDA device."""

    name: str
    memory_bytes: int
    """0 where the driver does not tell."""

    def __str__(self) -> str:
        return f"{self.name} ({self.memory_bytes / 2**30:.1f} GiB)"


@dataclass(frozen=True, slots=True)
class Driver:
    """What the NVIDIA driver says."""

    state: DriverState
    gpus: tuple[Gpu, ...] = ()
    """The visible cards; ``device_id`` is the position here."""
    version: str = ""
    cuda: str = ""
    """The newest CUDA version that the driver supports, such as ``12.8``."""
    fault: str = ""
    """The driver's own words when it does not work."""


class NvmlError(Exception):
    """An NVML function did not return NVML_SUCCESS; the text is NVML's, ``code`` its nvmlReturn_t."""

    def __init__(self, function: str, code: int, text: str) -> None:
        super().__init__(f"{function}: {text}")
        self.code = code


class _Memory(ctypes.Structure):
    """nvmlMemory_t, in bytes."""

    _fields_ = (("total", ctypes.c_ulonglong), ("free", ctypes.c_ulonglong), ("used", ctypes.c_ulonglong))


def load_library() -> ctypes.CDLL | None:
    """The driver's management library, or None where no driver is installed."""
    try:
        return ctypes.CDLL("nvml.dll" if sys.platform == "win32" else "libnvidia-ml.so.1")
    except OSError:
        return None


def has_nvidia_card(pci: Path = Path("/sys/bus/pci/devices")) -> bool:
    """Whether an NVIDIA graphics or compute card is plugged in, with or without a driver.

    Linux lists it in sysfs (vendor 0x10de, PCI class 0x03), Windows in the registry.
    """
    if sys.platform == "win32":
        import winreg

        with winreg.OpenKey(winreg.HKEY_LOCAL_MACHINE, r"SYSTEM\CurrentControlSet\Enum\PCI") as devices:
            names = [winreg.EnumKey(devices, i) for i in range(winreg.QueryInfoKey(devices)[0])]
        return any(name.upper().startswith("VEN_10DE") for name in names)
    return any(
        _sysfs(device / "vendor") == "0x10de" and _sysfs(device / "class").startswith("0x03")
        for device in (pci.iterdir() if pci.is_dir() else ())
    )


def _sysfs(file: Path) -> str:
    return file.read_text(encoding="ascii").strip().lower() if file.is_file() else ""


def read_driver(library: Any | None, card_present: bool, visible: str | None) -> Driver:
    """Ask the driver for its cards.

    ``library`` is what ``load_library`` returns; ``visible`` is the value of ``CUDA_VISIBLE_DEVICES``, None when
    it is not set. A driver that fails is not an error here: its words are in ``fault``.
    """
    absent = DriverState.MISSING if card_present else DriverState.NO_GPU
    if library is None:
        return Driver(absent)
    try:
        with _session(library):
            version = _text(library, "nvmlSystemGetDriverVersion")
            cuda = ctypes.c_int()
            _call(library, "nvmlSystemGetCudaDriverVersion_v2", ctypes.byref(cuda))
            handles = _handles(library)
            uuids = [_text(library, "nvmlDeviceGetUUID", handle) for handle in handles]
            gpus = tuple(
                _gpu(library, handles[device] if isinstance(device, int) else _slice_handle(library, device))
                for device in visible_devices(visible, uuids)
            )
    except NvmlError as error:
        return Driver(absent, fault=str(error) if card_present else "")
    state = DriverState.OK if gpus else DriverState.HIDDEN if uuids else DriverState.NO_GPU
    return Driver(state, gpus, version, f"{cuda.value // 1000}.{cuda.value % 1000 // 10}")


def visible_devices(value: str | None, uuids: Sequence[str]) -> list[int | str]:
    """Which cards ``CUDA_VISIBLE_DEVICES`` shows, in its order: positions in ``uuids``, or a MIG slice's own UUID.

    Entries are numbers, ``GPU-`` UUIDs that may be cut short, or one ``MIG-`` slice. The first entry that is no
    device ends the list; an empty value or a device named twice shows none (CUDA C++ Programming Guide, CUDA
    environment variables). Numbers are in PCI order here; CUDA puts the fastest card first unless
    ``CUDA_DEVICE_ORDER=PCI_BUS_ID``, which differs on machines with unlike cards.
    """
    if value is None:
        return list(range(len(uuids)))
    if value.strip().startswith("MIG-"):
        return [value.partition(",")[0].strip()]
    chosen: list[int | str] = []
    for entry in value.split(","):
        index = _card_index(entry.strip(), uuids)
        if index is None:
            break
        chosen.append(index)
    return chosen if len(set(chosen)) == len(chosen) else []


def _card_index(entry: str, uuids: Sequence[str]) -> int | None:
    if re.fullmatch(r"[0-9]+", entry):
        return int(entry) if int(entry) < len(uuids) else None
    matches = [index for index, uuid in enumerate(uuids) if entry.startswith("GPU-") and uuid.startswith(entry)]
    return matches[0] if len(matches) == 1 else None


@contextmanager
def _session(library: Any) -> Iterator[None]:
    for name, arguments in _SIGNATURES.items():
        function = getattr(library, name)
        function.argtypes, function.restype = arguments, ctypes.c_int
    library.nvmlErrorString.argtypes, library.nvmlErrorString.restype = (ctypes.c_int,), ctypes.c_char_p
    _call(library, "nvmlInit_v2")
    try:
        yield
    finally:
        _call(library, "nvmlShutdown")


def _call(library: Any, function: str, *arguments: Any) -> None:
    code = getattr(library, function)(*arguments)
    if code != _SUCCESS:
        raise NvmlError(function, code, library.nvmlErrorString(code).decode("utf-8", "replace"))


def _text(library: Any, function: str, *handle: ctypes.c_void_p) -> str:
    buffer = ctypes.create_string_buffer(_TEXT_BYTES)
    _call(library, function, *handle, buffer, _TEXT_BYTES)
    return buffer.value.decode("utf-8", "replace")


def _handles(library: Any) -> list[ctypes.c_void_p]:
    count = ctypes.c_uint()
    _call(library, "nvmlDeviceGetCount_v2", ctypes.byref(count))
    handles = [ctypes.c_void_p() for _ in range(count.value)]
    for index, handle in enumerate(handles):
        _call(library, "nvmlDeviceGetHandleByIndex_v2", index, ctypes.byref(handle))
    return handles


def _slice_handle(library: Any, uuid: str) -> ctypes.c_void_p:
    handle = ctypes.c_void_p()
    _call(library, "nvmlDeviceGetHandleByUUID", uuid.encode(), ctypes.byref(handle))
    return handle


def _gpu(library: Any, handle: ctypes.c_void_p) -> Gpu:
    memory = _Memory()
    try:
        _call(library, "nvmlDeviceGetMemoryInfo", handle, ctypes.byref(memory))
    except NvmlError as error:
        # Boards whose GPU shares the system's memory have none of their own to report.
        if error.code != _NOT_SUPPORTED:
            raise
    return Gpu(_text(library, "nvmlDeviceGetName", handle), memory.total)

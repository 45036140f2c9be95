"""The driver's answers, spoken by a Python library through the real C calling convention."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from acestep_batch.nvml import DriverState, Gpu, has_nvidia_card, read_driver, visible_devices

GIB = 2**30
UUIDS = ("GPU-aa10-0000", "GPU-aa20-0000", "GPU-bb30-0000")
TEXT = (ctypes.c_void_p, ctypes.c_uint)


def c_function(*arguments: Any) -> Callable[[Callable[..., int]], Any]:
    return lambda function: ctypes.CFUNCTYPE(ctypes.c_int, *arguments)(function)


def write_text(buffer: int, size: int, text: str) -> int:
    ctypes.memmove(buffer, text.encode() + b"\0", min(len(text) + 1, size))
    return 0


class TwoCards:
    """A driver library with an A100 and an RTX 4090; ``init_code`` other than 0 is a driver that does not work."""

    names = ("NVIDIA A100-SXM4-40GB", "NVIDIA GeForce RTX 4090")
    memories = (40 * GIB, 24 * GIB)

    def __init__(self, init_code: int = 0, memory_code: int = 0) -> None:
        self.sessions = 0
        self.nvmlInit_v2 = c_function()(lambda: self._open(init_code))
        self.nvmlShutdown = c_function()(self._close)
        self.nvmlSystemGetDriverVersion = c_function(*TEXT)(lambda b, n: write_text(b, n, "570.86.15"))
        self.nvmlSystemGetCudaDriverVersion_v2 = c_function(ctypes.c_void_p)(lambda out: self._int(out, 12080))
        self.nvmlDeviceGetCount_v2 = c_function(ctypes.c_void_p)(lambda out: self._int(out, len(self.names)))
        self.nvmlDeviceGetHandleByIndex_v2 = c_function(ctypes.c_uint, ctypes.c_void_p)(self._handle)
        self.nvmlDeviceGetHandleByUUID = c_function(ctypes.c_char_p, ctypes.c_void_p)(self._slice)
        self.nvmlDeviceGetName = c_function(ctypes.c_void_p, *TEXT)(
            lambda h, b, n: write_text(b, n, (*self.names, "NVIDIA A100-SXM4-40GB MIG 1g.5gb")[h - 1])
        )
        self.nvmlDeviceGetUUID = c_function(ctypes.c_void_p, *TEXT)(lambda h, b, n: write_text(b, n, UUIDS[h - 1]))
        self.nvmlDeviceGetMemoryInfo = c_function(ctypes.c_void_p, ctypes.c_void_p)(
            lambda h, out: memory_code or self._memory(h, out)
        )
        self._error = ctypes.create_string_buffer(b"Driver Not Loaded")
        self.nvmlErrorString = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_int)(lambda _: ctypes.addressof(self._error))

    def _open(self, code: int) -> int:
        self.sessions += code == 0
        return code

    def _close(self) -> int:
        self.sessions -= 1
        return 0

    def _int(self, out: int, value: int) -> int:
        ctypes.c_int.from_address(out).value = value
        return 0

    def _handle(self, index: int, out: int) -> int:
        ctypes.c_void_p.from_address(out).value = index + 1
        return 0

    def _slice(self, uuid: bytes, out: int) -> int:
        return self._handle(2, out) if uuid == b"MIG-c0ffee" else 6

    def _memory(self, handle: int, out: int) -> int:
        ctypes.c_ulonglong.from_address(out).value = (*self.memories, 5 * GIB)[handle - 1]
        return 0


def test_a_working_driver_lists_its_cards_and_is_closed_again() -> None:
    library = TwoCards()
    driver = read_driver(library, card_present=True, visible=None)
    assert driver.state is DriverState.OK
    assert driver.gpus == (Gpu(TwoCards.names[0], 40 * GIB), Gpu(TwoCards.names[1], 24 * GIB))
    assert (driver.version, driver.cuda) == ("570.86.15", "12.8")
    assert library.sessions == 0


def test_visible_devices_choose_and_order_the_cards() -> None:
    assert [gpu.name for gpu in read_driver(TwoCards(), True, "1,0").gpus] == [*reversed(TwoCards.names)]
    assert [gpu.name for gpu in read_driver(TwoCards(), True, "GPU-aa2").gpus] == [TwoCards.names[1]]


def test_a_mig_slice_has_its_own_name_and_memory() -> None:
    assert read_driver(TwoCards(), True, "MIG-c0ffee").gpus == (Gpu("NVIDIA A100-SXM4-40GB MIG 1g.5gb", 5 * GIB),)


def test_no_visible_device_is_told_apart_from_no_card() -> None:
    assert read_driver(TwoCards(), True, "").state is DriverState.HIDDEN
    assert read_driver(None, card_present=False, visible=None).state is DriverState.NO_GPU


def test_a_card_without_a_library_or_with_a_failing_one_misses_its_driver() -> None:
    assert read_driver(None, card_present=True, visible=None).state is DriverState.MISSING
    failing = read_driver(TwoCards(init_code=9), card_present=True, visible=None)
    assert failing.state is DriverState.MISSING
    assert failing.fault == "nvmlInit_v2: Driver Not Loaded"
    assert read_driver(TwoCards(init_code=9), card_present=False, visible=None).state is DriverState.NO_GPU


def test_memory_that_the_driver_does_not_tell_is_zero_and_other_faults_are_faults() -> None:
    assert [gpu.memory_bytes for gpu in read_driver(TwoCards(memory_code=3), True, None).gpus] == [0, 0]
    assert read_driver(TwoCards(memory_code=15), True, None).state is DriverState.MISSING


def test_visible_devices_as_the_cuda_guide_tells() -> None:
    assert visible_devices(None, UUIDS) == [0, 1, 2]
    assert visible_devices("2,1", UUIDS) == [2, 1]
    assert visible_devices("0,2,-1,1", UUIDS) == [0, 2]
    assert visible_devices("0,7,1", UUIDS) == [0]
    assert visible_devices(" 1 , 0 ", UUIDS) == [1, 0]
    assert visible_devices("1,1", UUIDS) == []
    assert visible_devices("", UUIDS) == []
    assert visible_devices("GPU-bb", UUIDS) == [2]
    assert visible_devices("GPU-aa", UUIDS) == []
    assert visible_devices("MIG-c0ffee,MIG-beef", UUIDS) == ["MIG-c0ffee"]


@given(st.permutations(range(3)).flatmap(lambda order: st.integers(0, 3).map(lambda n: order[:n])), st.booleans())
def test_numbers_and_full_uuids_mean_the_same(order: list[int], spaced: bool) -> None:
    join = " , ".join if spaced else ",".join
    assert visible_devices(join(map(str, order)), UUIDS) == order
    assert visible_devices(join(UUIDS[i] for i in order), UUIDS) == order


@given(st.text(alphabet="0123-,GPUabMI ", max_size=20))
def test_any_value_gives_known_cards_once_or_one_slice(value: str) -> None:
    chosen = visible_devices(value, UUIDS)
    assert len(set(chosen)) == len(chosen)
    assert all(isinstance(device, str) or 0 <= device < len(UUIDS) for device in chosen)


def pci_device(root: Path, address: str, vendor: str, device_class: str) -> None:
    (root / address).mkdir(parents=True)
    (root / address / "vendor").write_text(vendor + "\n")
    (root / address / "class").write_text(device_class + "\n")


def test_the_card_is_found_on_the_bus_without_a_driver(tmp_path: Path) -> None:
    assert not has_nvidia_card(tmp_path / "absent")
    pci_device(tmp_path, "0000:00:02.0", "0x8086", "0x030000")
    pci_device(tmp_path, "0000:01:00.1", "0x10de", "0x040300")
    assert not has_nvidia_card(tmp_path), "another maker's display and an NVIDIA sound function are no card"
    pci_device(tmp_path, "0000:01:00.0", "0x10de", "0x030200")
    assert has_nvidia_card(tmp_path)

"""What a measurement stands on: the machine, its versions, its load, and how fast it can be at best."""

import os
import platform
from pathlib import Path

import torch

from ude.files.provenance import provenance

from .harness import Variant

MATRIX_SIDE = {"cpu": 1024, "cuda": 8192}
COPIED_VALUES = {"cpu": 2**24, "cuda": 2**28}


def matrix_product(device: torch.device, dtype: torch.dtype = torch.float32) -> Variant:
    """The limit of arithmetic: a square matrix product; its work is counted in operations."""
    side = MATRIX_SIDE[device.type]
    a, b = torch.rand(2, side, side, device=device, dtype=dtype)
    out = torch.empty_like(a)
    return Variant("matrix product", lambda: torch.mm(a, b, out=out), 2.0 * side**3)


def memory_copy(device: torch.device) -> Variant:
    """The limit of memory: a copy far larger than the caches; its work is counted in bytes read and written."""
    values = torch.rand(COPIED_VALUES[device.type], device=device)
    out = torch.empty_like(values)
    return Variant("copy", lambda: out.copy_(values), 2.0 * values.numel() * values.element_size())


def environment(device: torch.device) -> dict[str, object]:
    """Versions, processor, threads and compile flags that matter for speed."""
    return {
        **provenance(),
        "system": platform.platform(),
        "cpu": _processor(),
        "cores": os.cpu_count(),
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "threads": torch.get_num_threads(),
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
    }


def load_average() -> float | None:
    """Processes that wanted to run in the last minute; None where the system does not say."""
    return round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None


def _processor() -> str:
    """The processor's name."""
    table = Path("/proc/cpuinfo")
    lines = table.read_text(encoding="utf-8").splitlines() if table.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()

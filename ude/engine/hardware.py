"""What the machine cannot do, in words of the config: too little memory, no bfloat16 arithmetic."""

import re

import torch

_CPU_REFUSAL = "can't allocate memory"
_WANTED = re.compile(r"(?:Tried to allocate|you tried to allocate) ([\d.]+ \w+)")


class OutOfMemoryError(RuntimeError):
    """The device's memory is too small for a training step; the message is one line that names the keys to lower."""

    exit_code = 7


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory ran out: CUDA's, that of torch's CPU allocator, or Python's own."""
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or _CPU_REFUSAL in str(error)


def out_of_memory(error: BaseException, *, step: int, batch: torch.Size) -> OutOfMemoryError:
    """The error to raise instead of torch's many lines.

    Args:
        error: what torch raised.
        step: steps that are done.
        batch: shape (B, 3, H, W) of its frames.
    """
    wanted = _WANTED.search(str(error))
    asked = f" ({wanted[1]} more were asked for)" if wanted else ""
    return OutOfMemoryError(
        f"out of memory in step {step} with {batch[0]} frames of {batch[-2]} x {batch[-1]}{asked}; lower "
        "SOLVER.BATCH_SIZE, DATA.SIZE or MODEL.DEPTH.INPUT_SIZE, choose a smaller MODEL.DEPTH.BACKBONE, or on a GPU "
        "RUN.PRECISION bf16-mixed"
    )


def slow_bfloat16(device: torch.device) -> str | None:
    """A warning when the device calculates in bfloat16 more slowly than in float32, or None."""
    if device.type == "cpu":
        capable = torch.cpu.get_capabilities()
        fast = any(capable.get(name, False) for name in ("amx_bf16", "avx512_bf16", "bf16", "sve_bf16"))
    else:
        fast = device.type != "cuda" or torch.cuda.is_bf16_supported(including_emulation=False)
    if fast:
        return None
    return (
        f"this {device.type.upper()} has no bfloat16 arithmetic: RUN.PRECISION bf16-mixed is slower than 32-true on it"
    )

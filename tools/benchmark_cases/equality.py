"""No speed without equality: variants are compared first, and timed only when they agree."""

from dataclasses import dataclass

from torch import Tensor


class UnequalError(ArithmeticError):
    """Variants that should compute the same do not; nothing was timed."""

    exit_code = 1


@dataclass(frozen=True)
class Check:
    """One comparison of a variant with the base.

    Attributes:
        name: what was compared.
        value: how far apart they are.
        bound: how far apart they may be; None only reports the difference, to code with other conventions.
    """

    name: str
    value: float
    bound: float | None = None

    @property
    def passed(self) -> bool:
        """Whether the difference is a number and within the bound."""
        return self.value == self.value and (self.bound is None or self.value <= self.bound)


def verify(title: str, checks: list[Check]) -> None:
    """Nothing when all checks passed.

    Raises:
        UnequalError: naming the case and the checks that failed.
    """
    failed = [f"{check.name} is {check.value:.3g} (at most {check.bound})" for check in checks if not check.passed]
    if failed:
        raise UnequalError(f"{title}: not timed, since the variants do not compute the same: {'; '.join(failed)}")


def relative_difference(value: Tensor, reference: Tensor) -> float:
    """Largest difference of two tensors in units of the reference's largest magnitude."""
    value, reference = value.detach().double().cpu(), reference.detach().double().cpu()
    return ((value - reference).abs().max() / reference.abs().max()).item()


def relative_distance(value: Tensor, reference: Tensor) -> float:
    """Euclidean distance of two tensors in units of the reference's norm."""
    value, reference = value.detach().double().cpu(), reference.detach().double().cpu()
    return ((value - reference).norm() / reference.norm()).item()


def share_beyond(value: Tensor, reference: Tensor, tolerance: float) -> float:
    """Share of the elements that differ by more than the tolerance times the reference's largest magnitude."""
    value, reference = value.detach().double().cpu(), reference.detach().double().cpu()
    return ((value - reference).abs() > tolerance * reference.abs().max()).double().mean().item()

"""Compare the costs of ways to do the same, in turns and in one process: `python tools/benchmark.py loss`."""

import sys
from argparse import ArgumentParser, BooleanOptionalAction, Namespace
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

from ude.config import ConfigError
from ude.config.command_line import bare_parser, run_tool

CASES = ("loss", "step", "distill", "infer", "translate", "lidar", "loader", "jitter", "metrics")
MIN_ROUNDS = 5
EXAMPLE = """examples:
  python tools/benchmark.py loss step
  python tools/benchmark.py loss --size 192 320 --batch 4 --rounds 9 --json loss.json
  python tools/benchmark.py all --peer-monodepth2 ../monodepth2 --peer-md4all ../md4all
  python tools/benchmark.py infer --device cuda
Every case first proves that its variants compute the same, and ends with exit code 1 when they do not. Only ratios
within a run mean anything: other machines, and this one tomorrow, take other times."""


def build_parser() -> ArgumentParser:
    """Options of this tool."""
    options = bare_parser(
        "Measure losses, training steps, networks and translation against the plain way and the peers.",
        EXAMPLE,
    )
    options.add_argument("cases", nargs="+", metavar="CASE", help=f"{', '.join(CASES)} or all")
    options.add_argument("--size", type=int, nargs=2, metavar=("HEIGHT", "WIDTH"), help="of the images [px]")
    options.add_argument("--batch", type=int, help="images per step")
    options.add_argument("--rounds", type=int, default=7, help=f"at least {MIN_ROUNDS} (default: %(default)s)")
    options.add_argument("--threads", type=int, default=1, help="of the CPU (default: %(default)s)")
    options.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="(default: %(default)s)")
    options.add_argument("--json", type=Path, metavar="FILE", help="also write every round to this file")
    options.add_argument("--quick", action="store_true", help="tiny sizes, two rounds: only shows that it works")
    options.add_argument(
        "--compile",
        action=BooleanOptionalAction,
        default=None,
        help="measure variants through torch.compile, too (default: unless --quick)",
    )
    options.add_argument("--backbone", help="network of step, distill and infer (default: resnet18)")
    options.add_argument("--peer-monodepth2", type=Path, metavar="PATH", help="checkout of monodepth2 to run beside")
    options.add_argument("--peer-md4all", type=Path, metavar="PATH", help="checkout of md4all to run beside")
    return options


def run(args: Namespace) -> int:
    """Check, time and print case by case; the JSON file grows with them."""
    _check(args)
    import torch

    from benchmark_cases.environment import environment
    from benchmark_cases.report import Settings
    from ude.files import write_json
    from ude.models import BACKBONES

    if args.device == "cuda" and not torch.cuda.is_available():
        raise ConfigError("--device cuda: torch finds no GPU; use --device cpu")
    if args.backbone not in (None, *BACKBONES):
        raise ConfigError(f"--backbone {args.backbone}: must be one of {', '.join(BACKBONES)}")
    torch.set_num_threads(args.threads)
    torch.backends.cudnn.allow_tf32 = False  # float32 means float32, or the networks could not be compared
    settings = Settings(
        device=torch.device(args.device),
        rounds=2 if args.quick else args.rounds,
        size=tuple(args.size) if args.size else None,
        batch=args.batch,
        quick=args.quick,
        compiled=not args.quick if args.compile is None else args.compile,
        backbone=args.backbone,
        peer_monodepth2=args.peer_monodepth2,
        peer_md4all=args.peer_md4all,
    )
    found = {"environment": environment(settings.device), "quick": args.quick, "results": []}
    print("\n".join(f"{name}: {value}" for name, value in found["environment"].items()))
    for case in CASES if "all" in args.cases else dict.fromkeys(args.cases):
        for report in import_module(f"benchmark_cases.{case}").run(settings):
            print(f"\n{report.table()}", flush=True)
            found["results"].append(report.as_json())
            if args.json:
                write_json(args.json, found)
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    return run_tool(run, build_parser(), argv)


def _check(args: Namespace) -> None:
    """Refuse what the parser cannot.

    Raises:
        ConfigError: naming every option that cannot be used.
    """
    problems = [f"{case}: no such case; there are {', '.join(CASES)} and all" for case in _unknown(args.cases)]
    if args.rounds < MIN_ROUNDS:
        problems.append(f"--rounds {args.rounds}: fewer than {MIN_ROUNDS} say nothing about the spread")
    if args.size and any(side < 64 or side % 32 for side in args.size):
        problems.append(f"--size {args.size[0]} {args.size[1]}: both must be multiples of 32, at least 64")
    for name in ("batch", "threads"):
        if getattr(args, name) is not None and getattr(args, name) < 1:
            problems.append(f"--{name} {getattr(args, name)}: must be at least 1")
    for name in ("peer_monodepth2", "peer_md4all"):
        path = getattr(args, name)
        if path is not None and not path.is_dir():
            problems.append(f"--{name.replace('_', '-')} {path}: is no folder; clone the repository there first")
    if problems:
        raise ConfigError(problems)


def _unknown(cases: list[str]) -> list[str]:
    return [case for case in cases if case not in (*CASES, "all")]


if __name__ == "__main__":
    sys.exit(main())

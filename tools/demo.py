"""The whole method on a procedural world, from rendering to the report: `python tools/demo.py`."""

import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from pathlib import Path

import train
import translate
from demo_report import write_report

from sample_world.nuscenes_world import WorldOptions, write_nuscenes
from ude.config.command_line import bare_parser, run_tool

CONFIGS = Path(__file__).parents[1] / "configs"
EXAMPLE = """examples:
  python tools/demo.py                          about 10 minutes on two CPU cores
  python tools/demo.py --fast                   a few minutes; checks that everything runs, learns next to nothing
  python tools/demo.py --output /data/demo --seed 1
A second call with the same options goes on where the first one stopped."""
FAST = {
    "teacher": {"RUN.MAX_STEPS": 40},
    "translate": {"TRANSLATOR.QUALITY.MAX_REJECTED": 1},  # the depth of so short a training gives odd nights
    "student": {"RUN.MAX_STEPS": 20},
}
FAST_WORLD = {
    "train_scenes": 4,
    "train_key_frames": 5,
    "val_streets": 1,
    "test_streets": 2,
    "eval_key_frames": 2,
    "size": (160, 288),
}


def build_parser() -> ArgumentParser:
    """Options of this tool."""
    description = "Render a sample world, train a teacher, translate, train a student, evaluate, report."
    options = bare_parser(description, EXAMPLE)
    options.add_argument("--output", type=Path, default=Path("outputs/demo"), help="folder of everything it makes")
    options.add_argument("--fast", action="store_true", help="smallest form: tiny world, a few training steps")
    options.add_argument("--seed", type=int, default=0, help="seed of world, training and translation")
    options.add_argument("--workers", type=int, default=2, help="processes that render the world")
    return options


def run(args: Namespace) -> int:
    """The five stages in order; stops at the first that fails."""
    output = args.output
    _say(1, f"sample world: streets by day, at night and in rain -> {output / 'world'}")
    world = WorldOptions(seed=args.seed, workers=args.workers, **(FAST_WORLD if args.fast else {}))
    write_nuscenes(output / "world", world, progress=True)
    _say(2, f"teacher: self-supervised on the day streets -> {output / 'teacher'}")
    code = train.main(_arguments("teacher", args, "--resume"))
    if not code:
        _say(3, f"translation: day frames into night, rain and rainy nights -> {output / 'translated'}")
        code = translate.main(_arguments("translate", args))
    if not code:
        _say(4, f"student: distilled on day and translated frames -> {output / 'student'}")
        code = train.main(_arguments("student", args, "--resume"))
    if not code:
        _say(5, f"evaluation on the test streets, and the report -> {output / 'report.html'}")
        print(write_report(CONFIGS / "demo_student.yaml", _overrides("student", args), fast=args.fast))
    return code


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    return run_tool(run, build_parser(), argv)


def _arguments(stage: str, args: Namespace, *flags: str) -> list[str]:
    """Command line of another tool for a stage of the demo."""
    return ["--cfg", str(CONFIGS / f"demo_{stage}.yaml"), *flags, *_overrides(stage, args)]


def _overrides(stage: str, args: Namespace) -> list[str]:
    """Config overrides of a stage: folders, seed, and few steps when fast."""
    output = args.output
    values = {"OUTPUT_DIR": output, "SEED": args.seed, "DATA.ROOT": output / "world"}
    values |= {
        "teacher": {},
        "translate": {"TRANSLATOR.DEPTH_MODEL": output / "teacher"},
        "student": {"MODEL.TEACHER": output / "teacher", "DATA.TRANSLATED.ROOT": output / "translated"},
    }[stage]
    if args.fast:
        values |= FAST[stage]
    return [str(part) for pair in values.items() for part in pair]


def _say(number: int, text: str) -> None:
    print(f"\n[{number}/5] {text}", flush=True)


if __name__ == "__main__":
    sys.exit(main())

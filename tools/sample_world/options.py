"""What a sample world consists of: its options, and the drives that follow from them."""

from dataclasses import asdict, dataclass

from .renderer import CONDITIONS
from .street import KINDS, Street
from .vehicles import VEHICLES, Vehicle

GENERATOR = 2  # raise when the same options give other pictures
FIRST_TIME = 0.5  # of the first key frame after the start of the drive [s]
SWEEP = 1 / 12  # distance between camera frames [s]
SPLITS = ("train", "val", "test")
DESCRIPTIONS = {
    "day-clear": "Parked cars, oncoming cars",
    "night-clear": "Night, street lamps, oncoming cars",
    "day-rain": "Rain, wet street, parked cars",
    "night-rain": "Night, rain, reflections, street lamps",
}


@dataclass(frozen=True)
class WorldOptions:
    """Everything that decides what a sample world looks like; `workers` alone changes nothing but the time it takes.

    Attributes:
        seed: base of all randomness; different seeds give different streets.
        train_scenes: number of training streets.
        val_streets: number of validation streets.
        test_streets: number of test streets.
        train_key_frames: key frames of a training street, each with the camera frames just before and after it.
        eval_key_frames: key frames of a validation or test street.
        train_interval: time between the key frames of a training street [s].
        eval_interval: time between the key frames of a validation or test street [s].
        eval_sweeps: whether these, too, have the camera frames before and after each key frame.
        train_conditions: conditions that every training street is drawn in.
        conditions: conditions that every validation and test street is drawn in.
        size: image size (height, width) [px], multiples of 4.
        lidar_azimuth: sector ahead that the LiDAR records [degrees].
        range_noise: standard deviation of the LiDAR's range [m].
        workers: number of processes.
    """

    seed: int = 0
    train_scenes: int = 60
    val_streets: int = 6
    test_streets: int = 6
    train_key_frames: int = 8
    eval_key_frames: int = 4
    train_interval: float = 0.5
    eval_interval: float = 2.5
    eval_sweeps: bool = False
    train_conditions: tuple[str, ...] = ("day-clear",)
    conditions: tuple[str, ...] = CONDITIONS
    size: tuple[int, int] = (320, 576)
    lidar_azimuth: float = 140.0
    range_noise: float = 0.015
    workers: int = 2

    def __post_init__(self) -> None:
        problems = [
            ("seed", self.seed, ">= 0", self.seed >= 0),
            ("train_key_frames", self.train_key_frames, ">= 1", self.train_key_frames >= 1),
            ("eval_key_frames", self.eval_key_frames, ">= 1", self.eval_key_frames >= 1),
            ("train_interval", self.train_interval, ">= 0.25 s", self.train_interval >= 0.25),
            ("eval_interval", self.eval_interval, ">= 0.25 s", self.eval_interval >= 0.25),
            ("size", self.size, "two multiples of 4, at least 32", all(n >= 32 and n % 4 == 0 for n in self.size)),
            ("lidar_azimuth", self.lidar_azimuth, "in (0, 360] degrees", 0 < self.lidar_azimuth <= 360),
            ("range_noise", self.range_noise, ">= 0 m", self.range_noise >= 0),
            ("workers", self.workers, ">= 1", self.workers >= 1),
        ]
        for name in ("train_scenes", "val_streets", "test_streets"):
            problems.append((name, getattr(self, name), ">= 0", getattr(self, name) >= 0))
        for name in ("train_conditions", "conditions"):
            value = getattr(self, name)
            distinct = len(value) > 0 and len(set(value)) == len(value)
            known = f"different names out of {', '.join(CONDITIONS)}"
            problems.append((name, value, known, distinct and set(value) <= set(CONDITIONS)))
        wrong = [f"{name} must be {rule}, got {value}" for name, value, rule, right in problems if not right]
        if wrong:
            raise ValueError("\n".join(wrong))

    def identity(self) -> dict:
        """What tells this world from others, as it is kept in `world.json`."""
        values = asdict(self)
        del values["workers"]
        lists = {name: list(value) for name, value in values.items() if isinstance(value, tuple)}
        return {"generator": GENERATOR, **values, **lists}


@dataclass(frozen=True)
class Recording:
    """One drive along one street: `scenes` maps every condition it is drawn in to the name of its scene.

    `key_times` are the camera's key frames [s]; `number` counts the drives of the whole world.
    """

    seed: tuple[int, int, int]
    number: int
    kind: str
    vehicle: Vehicle
    stop: bool
    sweeps: bool
    key_times: tuple[float, ...]
    scenes: dict[str, str]

    @property
    def num_pictures(self) -> int:
        """How many pictures this drive takes."""
        return len(self.scenes) * len(self.key_times) * (3 if self.sweeps else 1)

    def street(self) -> Street:
        """The street, built anew."""
        duration = self.key_times[-1] + FIRST_TIME
        return Street(self.seed, kind=self.kind, left_hand=self.vehicle.left_hand, duration=duration, stop=self.stop)


def recordings(options: WorldOptions) -> list[Recording]:
    """All drives of a world: training, then validation, then test.

    Raises:
        ValueError: the official split lists have too few names for that many scenes.
    """
    from nuscenes.utils import splits  # takes two seconds to import

    drives: list[Recording] = []
    for split, count in zip(SPLITS, (options.train_scenes, options.val_streets, options.test_streets), strict=True):
        training, names = split == "train", getattr(splits, split)
        conditions = options.train_conditions if training else options.conditions
        if count * len(conditions) > len(names):
            raise ValueError(f"the {split} split has names for {len(names) // len(conditions)} streets, got {count}")
        for index in range(count):
            scenes = names[index * len(conditions) : (index + 1) * len(conditions)]
            drives.append(
                Recording(
                    seed=(options.seed, SPLITS.index(split), index),
                    number=len(drives),
                    kind=KINDS[index % len(KINDS)],
                    vehicle=VEHICLES[index % len(VEHICLES)],
                    stop=training and index % 24 == 11,
                    sweeps=training or options.eval_sweeps,
                    key_times=_key_times(options, training),
                    scenes=dict(zip(conditions, scenes, strict=True)),
                )
            )
    return drives


def _key_times(options: WorldOptions, training: bool) -> tuple[float, ...]:
    if training:
        return tuple(FIRST_TIME + k * options.train_interval for k in range(options.train_key_frames))
    return tuple(FIRST_TIME + k * options.eval_interval for k in range(options.eval_key_frames))

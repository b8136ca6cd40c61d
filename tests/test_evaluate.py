"""The evaluation pass: conditions, modes and refusals."""

from collections.abc import Callable

import pytest
import torch
from evaluation_frames import BOUNDS, NATIVE, SIZE, constant, frame, from_brightness, measure
from torch import Tensor

from ude.evaluation.accumulate import CONDITIONS
from ude.evaluation.evaluate import scene_names
from ude.evaluation.metrics import METRICS, depth_metrics
from ude.files import DataError


def test_a_perfect_prediction_has_no_error_in_any_mode():
    results = measure([frame("a"), frame("b", "night-rain")], constant(10.0))
    for row in ("day-clear", "night-rain", "night", "all"):
        for mode in results.modes:
            assert results.means[row]["abs_rel" + mode] == pytest.approx(0, abs=1e-7)
            assert results.means[row]["delta_1" + mode] == 1


def test_median_scaling_forgives_a_wrong_scale():
    results = measure([frame("a")], constant(20.0))
    assert results.means["all"]["abs_rel"] == pytest.approx(1, abs=1e-6)
    assert results.means["all"]["abs_rel_median"] == pytest.approx(0, abs=1e-7)
    assert results.means["all"]["abs_rel_flip_median"] == pytest.approx(0, abs=1e-7)


@pytest.mark.parametrize("size", [1, 3, 5])
def test_the_batch_agrees_with_dense_metrics_of_the_enlarged_map(size):
    native = torch.rand(NATIVE, generator=torch.Generator().manual_seed(1)) * 60 + 5
    frames = [frame(str(number), depth=native, returns=20 * number + 1) for number in range(5)]
    results = measure(frames, size=size)
    for row, item in zip(results.frames, frames, strict=True):
        depth = 1 / from_brightness(item["input"][None] / 255)
        enlarged = torch.nn.functional.interpolate(depth, size=NATIVE, mode="bilinear", align_corners=True)[0, 0]
        lidar = torch.zeros(NATIVE[0] * NATIVE[1])
        lidar[item["lidar_index"]] = item["lidar_value"]
        for mode in ("", "_median"):
            dense = depth_metrics(enlarged.double(), lidar.view(NATIVE).double(), median_scaling=bool(mode), **BOUNDS)
            expected = {name + mode: value.item() for name, value in dense.items()}
            assert {name: row.values[name] for name in expected} == pytest.approx(expected, rel=1e-5, abs=1e-6)


def test_the_flip_average_of_a_predictor_that_ignores_the_side_is_the_plain_prediction():
    results = measure([frame("a"), frame("b")])
    for metric in METRICS:
        assert results.means["all"][metric + "_flip"] == pytest.approx(results.means["all"][metric], rel=1e-6)


def test_the_mirrored_image_is_predicted_and_mirrored_back():
    def left_is_near(images: Tensor) -> Tensor:
        """Nearer on the left whatever the image shows: the average must be symmetric away from the borders."""
        column = torch.linspace(0.3, 0.1, images.shape[-1])
        return column.expand(len(images), 1, images.shape[-2], -1)

    item = frame("a", depth=5.0, returns=NATIVE[0] * NATIVE[1])
    centre = (item["lidar_index"] % NATIVE[1] > 5) & (item["lidar_index"] % NATIVE[1] < 18)
    item["lidar_value"] = item["lidar_value"] * centre
    results = measure([item], left_is_near)
    assert results.means["all"]["abs_rel_flip"] == pytest.approx(0, abs=1e-6)  # mean inverse depth 0.2 everywhere
    assert results.means["all"]["abs_rel"] > 0.1


def test_without_flip_the_predictor_runs_once_and_two_modes_are_left():
    calls = []
    results = measure([frame("a")], lambda images: calls.append(1) or from_brightness(images), flip=False)
    assert results.modes == ("", "_median")
    assert len(calls) == 1
    assert "abs_rel_flip" not in results.means["all"]


def test_the_conditions_weighted_by_their_frames_give_the_row_of_all():
    frames = [frame(str(number), CONDITIONS[number * number % 3]) for number in range(7)]
    means = measure(frames).means
    assert [means[name]["frames"] for name in CONDITIONS] == [3, 4, 0, 0]
    for column in ("abs_rel", "rmse_flip", "delta_1_median"):
        weighted = sum(means[name]["frames"] * (means[name][column] or 0) for name in CONDITIONS) / 7
        assert means["all"][column] == pytest.approx(weighted, rel=1e-12)


def test_night_is_the_mean_over_both_nights_and_a_condition_without_frames_is_none():
    frames = [frame("a", "night-clear", depth=5.0), frame("b", "night-rain", depth=20.0), frame("c", "night-rain")]
    means = measure(frames, constant(10.0)).means
    assert means["night"]["abs_rel"] == pytest.approx((1.0 + 0.5 + 0.0) / 3, abs=1e-6)
    assert means["day-clear"] == {"frames": 0} | {name: None for name in means["night"] if name != "frames"}


def test_frames_without_valid_returns_are_listed_and_not_averaged():
    frames = [frame("a"), frame("far", depth=90.0), frame("none", returns=0)]
    results = measure(frames, constant(20.0))
    assert results.skipped == ("far", "none")
    assert results.means["all"]["frames"] == 1
    assert results.means["all"]["abs_rel"] == pytest.approx(1, abs=1e-6)


def test_one_return_is_enough():
    assert measure([frame("a", returns=1)], constant(9.0)).means["all"]["abs_rel"] == pytest.approx(0.1, abs=1e-6)


def test_a_split_without_any_valid_return_is_refused():
    with pytest.raises(
        DataError,
        match=r"no frame has a LiDAR return between 0\.1 m and 80 m \(first: far\).*the crop of EVAL.PROTOCOL",
    ):
        measure([frame("far", depth=90.0), frame("none", returns=0)])
    with pytest.raises(DataError, match="the evaluation split has no frames"):
        measure([])


def spoilt(name: str, bad: float) -> tuple[list[dict], Callable[[Tensor], Tensor]]:
    """Five frames, and a predictor that says something bad about two pixels of one of them, whichever way it looks."""
    frames = [frame(f"frame-{number}") for number in range(5)]
    total = next(item["input"].sum().item() for item in frames if item["frame_id"] == name)

    def predict(images: Tensor) -> Tensor:
        inverse_depth = from_brightness(images)
        inverse_depth[((images * 255).sum((1, 2, 3)) - total).abs() < 0.5, 0, 3, 4:6] = bad
        return inverse_depth

    return frames, predict


@pytest.mark.parametrize(
    ("bad", "range_"), [("nan", "nan to nan"), ("inf", "0.* to inf"), ("0", "0 to"), ("-0.1", "-0.1")]
)
def test_an_unusable_prediction_is_refused_and_counted(bad, range_):
    message = (
        f"the predictions for 1 of 5 frames are not finite and positive .* everywhere .first: frame-3, from {range_}"
    )
    with pytest.raises(DataError, match=message):
        measure(*spoilt("frame-3", float(bad)))


def test_a_network_that_diverged_is_refused_at_the_first_batch():
    batches_seen = []

    def predict(images: Tensor) -> Tensor:
        batches_seen.append(len(images))
        return torch.full_like(images[:, :1], torch.nan)

    with pytest.raises(DataError, match=r"for 2 of 2 frames .* from nan to nan\); use a checkpoint from before"):
        measure([frame(str(number)) for number in range(6)], predict, flip=False)
    assert batches_seen == [2]


@pytest.mark.parametrize("bad", [0.0, -0.1])
def test_relative_inverse_depths_may_have_any_sign_but_must_be_finite(bad):
    relative = {"alignment": "least_squares", "metric": False}
    frames, predict = spoilt("frame-3", bad)
    results = measure(frames, predict, **relative)
    assert results.means["all"]["frames"] == 5
    assert all(value == value for value in results.means["all"].values())
    frames, predict = spoilt("frame-3", float("nan"))
    with pytest.raises(DataError, match="1 of 5 frames are not finite inverse depths everywhere"):
        measure(frames, predict, **relative)


@pytest.mark.parametrize("alignment", ["none", "median", "least_squares"])
def test_a_metric_prediction_of_zero_is_refused_however_it_is_aligned(alignment):
    with pytest.raises(DataError, match="1 of 5 frames are not finite and positive"):
        measure(*spoilt("frame-3", 0.0), alignment=alignment)


def test_relative_predictions_have_errors_only_where_they_are_aligned():
    frames = [frame("a"), frame("b", "night-rain")]
    results = measure(frames, alignment="least_squares", metric=False)
    metric = measure(frames, alignment="least_squares")
    assert results.modes == metric.modes
    for column in ("abs_rel", "rmse", "delta_1_flip"):
        assert results.means["all"][column] is None
        assert column not in results.frames[0].values
        assert metric.means["all"][column] is not None
    for column in ("abs_rel_least_squares", "delta_1_flip_least_squares"):
        assert results.means["all"][column] == metric.means["all"][column]
    assert "" not in results.ranges.curves["all"]
    for alignment in ("median", "none"):
        with pytest.raises(DataError, match=f"EVAL.ALIGNMENT is {alignment}.*set EVAL.ALIGNMENT least_squares"):
            measure(frames, alignment=alignment, metric=False)


def test_least_squares_forgives_a_wrong_scale_and_shift_of_inverse_depth():
    depth = torch.rand(1, 1, *SIZE, generator=torch.Generator().manual_seed(2)) * 30 + 5
    native = 1 / torch.nn.functional.interpolate(1 / depth, NATIVE, mode="bilinear", align_corners=True)[0, 0]
    item = frame("a", depth=native, returns=200)
    item["input"] = torch.stack([item["input"][0], *2 * [item["input"][0].flip(-1)]])  # so that mirrored ones are told

    def predict(images: Tensor) -> Tensor:
        plain = torch.equal(images[0], item["input"] / 255)
        return 3 / (depth if plain else depth.flip(-1)).expand(len(images), 1, -1, -1) + 0.4

    results = measure([item], predict, alignment="least_squares")
    assert results.modes == ("", "_flip", "_least_squares", "_flip_least_squares")
    assert results.alignment == "_least_squares"
    assert results.means["all"]["abs_rel"] > 0.5
    assert results.means["all"]["abs_rel_least_squares"] == pytest.approx(0, abs=1e-5)  # predictions are float32
    assert results.means["all"]["abs_rel_flip_least_squares"] == pytest.approx(0, abs=1e-5)
    assert results.means["all"]["delta_1_least_squares"] == 1


def test_an_unknown_protocol_or_alignment_is_refused():
    with pytest.raises(ValueError, match=r"protocol must be one of md4all, ude, kitti_eigen, .*, got 'kitti'"):
        measure([frame("a")], protocol="kitti")
    with pytest.raises(ValueError, match="alignment must be one of none, median, least_squares, got 'mean'"):
        measure([frame("a")], alignment="mean")


def test_a_prediction_of_another_size_is_a_programming_error():
    with pytest.raises(ValueError, match=r"must return inverse depths \(1, 1, 8, 12\), got \(1, 1, 4, 6\)"):
        measure([frame("a")], lambda images: torch.ones(1, 1, 4, 6))


def test_an_unknown_condition_or_a_frame_seen_twice_is_refused():
    with pytest.raises(ValueError, match="must be one of day-clear, day-rain, night-clear, night-rain, got fog"):
        measure([frame("a", "fog")])
    with pytest.raises(DataError, match="frame a was evaluated twice"):
        measure([frame("a"), frame("b"), frame("a")])


def test_scenes_come_from_the_source():
    class Source:
        def __len__(self) -> int:
            return 2

        def frame_id(self, index: int) -> str:
            return f"frame-{index}"

        def scene(self, index: int) -> str:
            return "scene-0001"

    assert scene_names(Source()) == {"frame-0": "scene-0001", "frame-1": "scene-0001"}

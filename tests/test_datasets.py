"""Training and evaluation samples of a made-up source, loader processes, collation."""

import pickle
from functools import partial

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader
from walled_street import NATIVE, SIZE, WalledStreet, translations

from ude.data import images
from ude.data.datasets import EvaluationFrames, TrainingFrames, collate
from ude.data.transforms import DeviceTransform
from ude.engine import TrainingData


@pytest.fixture
def source() -> WalledStreet:
    return WalledStreet()


def test_a_training_sample_holds_the_frame_and_its_neighbours_in_the_order_of_the_offsets(source):
    sample = TrainingFrames(source, size=SIZE, offsets=(1, -1), with_poses=True)[2]
    assert sample["target"].dtype == torch.uint8
    assert sample["target"].shape == (3, *SIZE)
    assert sample["target"].unique().tolist() == [80]
    assert [image.unique().tolist() for image in sample["sources"]] == [[81], [79]]
    assert sample["distance"].tolist() == pytest.approx([1.2, 1.2])
    assert sample["T_source_target"][:, 2, 3].tolist() == pytest.approx([-1.2, 1.2])
    assert {sample["T_source_target"].dtype, sample["distance"].dtype, sample["K"].dtype} == {torch.float32}


def test_the_intrinsics_are_the_frames_own_at_the_samples_size(source):
    for index in range(len(source)):
        K = TrainingFrames(source, size=SIZE, offsets=())[index]["K"]
        half = (80 + index) / 2
        expected = [[half, 0, (47.5 + 0.5) / 2 - 0.5], [0, half, (31.5 + 0.5) / 2 - 0.5], [0, 0, 1]]
        np.testing.assert_allclose(K.numpy(), expected, atol=1e-5)


def test_without_translations_the_input_is_the_target(source):
    sample = TrainingFrames(source, size=SIZE, offsets=())[1]
    assert sample["input"].equal(sample["target"])
    assert sample["input_condition"] == sample["condition"] == "day-clear"


def test_a_batch_is_what_its_samples_collate_to(source, tmp_path):
    options = {"size": SIZE, "offsets": (1, -1), "with_poses": True}
    for translated in (None, translations(tmp_path, source, "night")):
        frames = TrainingFrames(source, translated=translated, **options)
        batch, samples = frames.__getitems__([2, 0, 3]), collate([frames[2], frames[0], frames[3]])
        assert batch.keys() == samples.keys()
        for key, value in batch.items():
            assert value.equal(samples[key]) if torch.is_tensor(value) else value == samples[key], key
        assert (batch["input"] is batch["target"]) == (translated is None)  # nothing is copied that nobody changes
        assert collate(batch) is batch


@pytest.mark.parametrize("workers", [0, 1])
def test_an_input_that_is_the_target_goes_to_the_device_once(source, tmp_path, workers):
    transform = DeviceTransform(color_jitter=(0.2, 0.2, 0.2, 0.05), flip_prob=0.5)
    for translated in (None, translations(tmp_path, source, "night")):
        frames = TrainingFrames(source, size=SIZE, offsets=(1,), translated=translated)
        data = TrainingData(frames, DeviceTransform(), batch_size=4, num_workers=workers, seed=0)
        (batch,) = data.train_dataloader()
        assert ("input" in batch) == (translated is not None)
        numbers = [int(name[-5:]) for name in batch["frame_id"]]
        ours, theirs = (transform(each, 1, True) for each in (batch, frames.__getitems__(numbers)))
        assert ours["depth_input"].equal(theirs["depth_input"])


def test_a_stage_without_sources_reads_one_image_per_sample(source):
    sample = TrainingFrames(source, size=SIZE, offsets=(-1, 1), with_sources=False)[0]
    assert source.images_read == 1
    assert not {"sources", "distance", "T_source_target"} & sample.keys()


def test_the_cache_reads_every_frame_once_and_changes_nothing(source, tmp_path):
    options = {"size": SIZE, "offsets": (-1, 1), "translated": translations(tmp_path, source, "night")}
    plain, cached = TrainingFrames(source, **options), TrainingFrames(source, **options, cache=True)
    for epoch in range(3):
        plain.set_epoch(epoch)
        cached.set_epoch(epoch)
        for index in range(4):
            before, after = plain[index], cached[index]
            assert before.keys() == after.keys()
            assert all(before[key].equal(after[key]) for key in ("target", "sources", "input", "K"))
    source.images_read = 0
    for index in range(4):
        cached[index]
    assert source.images_read == 0


def test_a_persistent_loader_process_sees_the_epoch_change(tmp_path):
    source = WalledStreet(8)
    frames = TrainingFrames(source, size=SIZE, offsets=(), translated=translations(tmp_path, source, "night", "rain"))
    loader = DataLoader(frames, batch_size=8, num_workers=1, persistent_workers=True, collate_fn=collate)
    for epoch in range(4):
        frames.set_epoch(epoch)
        expected = [frames.drawn_condition(index) or "day-clear" for index in range(8)]
        (batch,) = list(loader)
        assert batch["input_condition"] == expected


@pytest.mark.parametrize("kind", [partial(TrainingFrames, offsets=()), EvaluationFrames])
def test_the_decoder_is_there_before_loader_processes_are_forked(source, kind):
    images._jpeg_decoder.cache_clear()
    kind(source, size=SIZE)
    assert images._jpeg_decoder.cache_info().currsize == 1


def test_a_data_set_can_be_sent_to_another_process(source, tmp_path):
    frames = TrainingFrames(source, size=SIZE, offsets=(1,), translated=translations(tmp_path, source, "night"))
    frames.set_epoch(7)
    copy = pickle.loads(pickle.dumps(frames))
    assert [copy.drawn_condition(i) for i in range(4)] == [frames.drawn_condition(i) for i in range(4)]
    assert copy[2]["sources"].equal(frames[2]["sources"])


def test_an_evaluation_sample_holds_the_real_frame_and_its_sparse_lidar(source):
    sample = EvaluationFrames(source, size=SIZE)[3]
    assert sample["input"].unique().tolist() == [90]
    assert sample["input"].shape == (3, *SIZE)
    assert sample["native_size"].tolist() == list(NATIVE)
    assert sample["lidar_index"].tolist() == [40 * 96 + column for column in range(10, 15)]
    assert sample["lidar_value"].tolist() == [8.0] * 5
    assert [sample[key].dtype for key in ("native_size", "lidar_index", "lidar_value")] == [
        torch.int64,
        torch.int64,
        torch.float32,
    ]


def test_evaluation_never_makes_a_dense_map(source, monkeypatch):
    def dense(index):
        raise AssertionError("1.44 million pixels for 3,000 returns")

    expected = EvaluationFrames(source, size=SIZE)[2]
    index, value = source.sparse_lidar(2)
    monkeypatch.setattr(source, "lidar_depth", dense)
    monkeypatch.setattr(source, "sparse_lidar", lambda number: (index, value))
    sample = EvaluationFrames(source, size=SIZE)[2]
    assert sample["lidar_index"].equal(expected["lidar_index"])


def test_a_lidar_cache_takes_the_place_of_the_points(source):
    class Cache:
        def read(self, frame_id):
            return np.array([3, 5]), np.array([1.5, int(frame_id[-5:])], np.float32)

    sample = EvaluationFrames(source, size=SIZE, lidar_cache=Cache())[2]
    assert sample["lidar_index"].tolist() == [3, 5]
    assert sample["lidar_value"].tolist() == [1.5, 2.0]


def test_collation_pads_lidar_and_keeps_every_return(source):
    frames = EvaluationFrames(source, size=SIZE)
    batch = collate([frames[index] for index in (0, 3, 1)])
    assert batch["frame_id"] == ["frame-00000", "frame-00003", "frame-00001"]
    assert batch["input"].shape == (3, 3, *SIZE)
    assert batch["lidar_index"].shape == batch["lidar_value"].shape == (3, 5)
    assert batch["lidar_index"][0, 2:].tolist() == [-1] * 3
    assert batch["lidar_value"][0].tolist() == [5.0, 5.0, 0.0, 0.0, 0.0]
    assert batch["native_size"].tolist() == [list(NATIVE)] * 3


def test_a_frame_without_any_return_collates(source):
    source.lidar_depth = lambda index: np.zeros(NATIVE, np.float32)
    batch = collate([EvaluationFrames(source, size=SIZE)[index] for index in range(2)])
    assert batch["lidar_index"].shape == (2, 0)

"""The cases ``loader`` and ``jitter`` of the benchmark, in miniature; no test looks at a speed."""

import json

import benchmark
import numpy as np
import pytest
import torch
from PIL import Image

from benchmark_cases import jitter as jitter_case
from benchmark_cases.loader_plain import OFFSETS, md4all_sample
from ude.data import images
from ude.data.jitter import color_jitter


@pytest.mark.slow
def test_loader_and_jitter_run_with_equal_pixels(tmp_path, capsys):
    out = tmp_path / "out.json"
    assert benchmark.main(["loader", "jitter", "--quick", "--json", str(out)]) == 0
    loader, jitter = json.loads(out.read_text())["results"]
    assert [variant["name"] for variant in loader["variants"]] == [
        "md4all's way",
        "ude, JPEG files",
        "ude, cache of JPEG",
        "ude, cache of bytes",
        "ude, bytes in memory",
        "ude, JPEG files, jitter here",
    ]
    assert all(check["value"] <= check["bound"] for check in loader["equality"] + jitter["equality"])
    assert [check["value"] for check in loader["equality"][1:3]] == [0, 0]  # the caches, bit for bit
    assert [variant["name"] for variant in jitter["variants"]] == ["Pillow per image", "torchvision per image", "ude"]
    assert "the jitter is not compiled" in capsys.readouterr().out


def test_another_filter_is_not_timed(monkeypatch, capsys):
    monkeypatch.setattr(images, "resize_filter", lambda: "bicubic")
    assert benchmark.main(["loader", "--quick"]) == 1
    assert "ude, JPEG files: pixels, to md4all's is" in capsys.readouterr().err


def test_another_jitter_is_not_timed(monkeypatch, capsys):
    monkeypatch.setattr(jitter_case, "color_jitter", lambda frames, factors: color_jitter(frames, 1.001 * factors))
    assert benchmark.main(["jitter", "--quick"]) == 1
    assert "ude: to torchvision is" in capsys.readouterr().err


def test_the_yardstick_makes_three_copies_of_three_frames(train):
    sample = md4all_sample(train, 1, (32, 64))
    for place, offset in enumerate(OFFSETS):
        resized = Image.open(train.image_path(1, offset)).resize((64, 32), Image.Resampling.LANCZOS)
        exact = torch.from_numpy(np.array(resized)).permute(2, 0, 1) / 255
        assert sample["clean"][place].equal(exact)
        assert sample["depth_input"][place].equal(sample["pose_input"][place])  # one jitter for both
        assert not sample["depth_input"][place].equal(exact)
    assert sample["K"][0, 0].item() == pytest.approx(train.intrinsics(1)[0, 0] * 64 / 160)

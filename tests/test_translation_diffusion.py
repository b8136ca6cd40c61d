"""A tiny diffusion translator over a data set: the same tree in one process, in shards, and after kills."""

import os
import random
import signal
import time

import numpy as np
import pytest
import torch
from tiny_pipeline import IP_ADAPTER_WEIGHTS, save_tiny_pipeline
from tiny_run import forked
from translation_runs import NIGHT, RAIN, leftovers, tree_of

from ude.files import write_image
from ude.models import DepthNet
from ude.translation.diffusion import DiffusionTranslator
from ude.translation.references import References
from ude.translation.run import Networks, Options, QualityOptions, Shard, translate_frames
from ude.translation.simulated import SimulatedTranslator

SIZE = (64, 96)
FRAMES = 12


class SmoothFrames:
    """A source of smooth random frames."""

    def __init__(self):
        noise = torch.rand(FRAMES, 3, 8, 12, generator=torch.Generator().manual_seed(0))
        wide = torch.nn.functional.interpolate(noise, (128, 192), mode="bicubic").clamp(0, 1)
        self.pixels = (wide * 255).byte().permute(0, 2, 3, 1).contiguous().numpy()

    def __len__(self):
        return FRAMES

    def frame_id(self, index):
        return f"frame-{index:02d}"

    def image(self, index, offset=0, *, min_size=None):
        return self.pixels[index]


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """Folder of a tiny pipeline with an IP-Adapter, and references."""
    root = tmp_path_factory.mktemp("weights")
    save_tiny_pipeline(root)
    for condition, level in (("night", 30), ("rain", 120)):
        for i in range(3):
            pixels = np.full((40, 60, 3), level, np.uint8)
            pixels[10 * i : 10 * i + 20, 10:40] = 230
            write_image(root / "references" / condition / f"{i}.png", pixels)
    return root


@pytest.fixture(scope="module")
def networks(weights):
    """The tiny diffusion translator and a tiny depth network."""
    torch.manual_seed(0)
    network = DepthNet(backbone="resnet_small", num_scales=1, input_height=64, input_width=96).eval()
    adapter = {"ip_adapter": str(weights / "ip_adapter"), "ip_adapter_weights": IP_ADAPTER_WEIGHTS}
    translator = DiffusionTranslator(
        str(weights / "base"), control=str(weights / "control"), size=SIZE, steps=2, **adapter
    )
    return Networks(translator=lambda: translator, depth=lambda: lambda images: network(images).inverse_depths[0])


def translate(output, weights, networks, shard=None):
    """Twelve frames to night and rain, with a gate that random networks sometimes pass; returns 0."""
    options = Options(
        size=SIZE,
        seed=0,
        batch_size=4,
        quality=QualityOptions(structure=-1, attempts=2),
        image_prompts=True,
        matched=("night",),
        progress=False,
    )
    references = References(weights / "references", ["night", "rain"])
    arguments = {"conditions": (NIGHT, RAIN), "output": output, "config_hash": "abc", "references": references}
    translate_frames(SmoothFrames(), networks, options, shard=shard, **arguments)
    return 0


@pytest.mark.parametrize("name", ["diffusion", "simulated", "depth"])
def test_a_row_is_the_same_to_the_last_bit_whatever_its_neighbours_and_its_place(weights, networks, name):
    pixels = torch.from_numpy(SmoothFrames().pixels).permute(0, 3, 1, 2)[..., ::2, ::2].float() / 255
    depth = networks.depth()
    references = torch.rand(FRAMES, 3, 64, 64, generator=torch.Generator().manual_seed(1))

    def computed(places):
        if name == "depth":
            return depth(pixels[places])
        arguments = {"condition": NIGHT, "seeds": list(places), "depth": pixels[places].mean(1, keepdim=True)}
        if name == "simulated":
            return SimulatedTranslator()(pixels[places], **arguments)
        return networks.translator()(pixels[places], references=references[places], **arguments)

    with torch.inference_mode():
        rows = dict(zip(range(8), [*computed([0, 1, 2, 3]), *computed([4, 5, 6, 7])], strict=True))
        for places in ([3, 2, 1, 0], [7, 0, 5, 2], [6, 6, 6, 6], [1, 7, 4, 3]):
            for place, row in zip(places, computed(places), strict=True):
                assert torch.equal(row, rows[place])


@pytest.mark.slow
def test_shards_and_kills_leave_the_tree_of_one_undisturbed_process(weights, networks, tmp_path):
    began = time.monotonic()
    translate(tmp_path / "whole", weights, networks)
    duration, whole = time.monotonic() - began, tree_of(tmp_path / "whole")
    assert sum(name.startswith(("night/", "rain/", "rejected/")) for name in whole) == 2 * FRAMES

    pids = [forked(lambda i=i: translate(tmp_path / "shards", weights, networks, Shard(i, 2))) for i in range(2)]
    assert [os.waitpid(pid, 0)[1] for pid in pids] == [0, 0]
    assert tree_of(tmp_path / "shards") == whole

    draw, codes = random.Random(0), []
    for number in (signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGKILL, signal.SIGKILL):
        pid = forked(lambda: translate(tmp_path / "killed", weights, networks))
        time.sleep(draw.uniform(0.1, 0.6) * duration)
        os.kill(pid, number)
        codes.append(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
    assert -signal.SIGKILL in codes
    translate(tmp_path / "killed", weights, networks)
    assert tree_of(tmp_path / "killed") == whole
    assert leftovers(tmp_path) == []

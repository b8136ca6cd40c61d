"""A Depth Anything that knows the days of the sample world learns its nights and rain from itself."""

from pathlib import Path

import pytest
import torch
import train
import translate
from tiny_networks import tiny_dinov2
from transformers import DepthAnythingConfig, DepthAnythingForDepthEstimation, DPTImageProcessor
from transformers import logging as transformers_logging

from ude.build.frames import evaluation_loader
from ude.build.sources import evaluation_source, training_source
from ude.config import load_config
from ude.evaluation.baselines import fit_baselines
from ude.evaluation.evaluate import evaluate
from ude.losses.scale_shift import scale_shift_loss
from ude.models.foundation import FoundationDepth

CONFIG = Path(__file__).parents[1] / "configs" / "self_distillation_depth_anything.yaml"
SIZE, INPUT = (96, 160), (42, 70)
STEPS, BATCH = 400, 8
RANGE = {"min_depth": 0.1, "max_depth": 80.0}
transformers_logging.disable_progress_bar()


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A day frame of each of 60 streets to learn from, and six other streets by day, at night and in rain."""
    from sample_world.nuscenes_world import WorldOptions, write_nuscenes

    root = tmp_path_factory.mktemp("world")
    counts = {"train_scenes": 60, "val_streets": 6, "test_streets": 1, "train_key_frames": 1, "eval_key_frames": 1}
    write_nuscenes(root, WorldOptions(**counts, size=SIZE, workers=1), progress=False)
    return root


def save_fresh_model(folder):
    """A Depth Anything whose weights are drawn as those of networks that are going to be trained."""
    backbone = tiny_dinov2(out_indices=[1, 2, 3, 4], reshape_hidden_states=False)
    sizes = {"reassemble_hidden_size": 16, "neck_hidden_sizes": [16] * 4, "fusion_hidden_size": 16}
    model = DepthAnythingForDepthEstimation(DepthAnythingConfig(backbone_config=backbone, head_hidden_size=8, **sizes))
    for part in model.modules():
        if isinstance(part, torch.nn.Conv2d | torch.nn.ConvTranspose2d | torch.nn.Linear):
            part.reset_parameters()
    torch.nn.init.ones_(model.head.conv3.bias)  # else the last ReLU may let nothing through
    model.save_pretrained(folder)
    size = {"height": INPUT[0], "width": INPUT[1]}
    DPTImageProcessor(size=size, keep_aspect_ratio=False, ensure_multiple_of=14).save_pretrained(folder)


def dense_inverse_depth(batch):
    """LiDAR depth of a batch as maps (B, 1, H, W) [1/m], 0 where there is none."""
    height, width = batch["native_size"][:, :1], batch["native_size"][:, 1:]
    index, depth = batch["lidar_index"].clamp(min=0), batch["lidar_value"]
    row, column = (index // width * SIZE[0] // height), (index % width * SIZE[1] // width)
    inside = (depth > RANGE["min_depth"]) & (depth < RANGE["max_depth"])
    maps = torch.zeros(len(depth), SIZE[0] * SIZE[1])
    maps.scatter_(1, row * SIZE[1] + column, torch.where(inside, 1 / depth.clamp(min=0.1), 0))
    return maps.view(-1, 1, *SIZE)


def learn_days(folder, loader):
    """Train the model in a folder on the LiDAR of day frames."""
    network, batches = FoundationDepth(folder).make_trainable(), list(loader)
    images = torch.cat([batch["input"] for batch in batches])
    inverse_depth = torch.cat([dense_inverse_depth(batch) for batch in batches])
    optimizer = torch.optim.AdamW(p for p in network.parameters() if p.requires_grad)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 4e-3, total_steps=STEPS)
    for _ in range(STEPS):
        chosen = torch.randint(len(images), (BATCH,))
        mirrored = torch.rand(BATCH, 1, 1, 1) < 0.5
        seen, wanted = images[chosen].float() / 255, inverse_depth[chosen]
        seen, wanted = (torch.where(mirrored, maps.flip(-1), maps) for maps in (seen, wanted))
        loss = scale_shift_loss(network(seen), wanted, wanted > 0)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        schedule.step()
    network.save(folder)


def errors(predict, cfg, *, metric=False):
    """Relative error by condition, after scale and shift."""
    source = evaluation_source(cfg, "val")
    rules = {"alignment": "least_squares", "metric": metric, "flip": False, "progress": False}
    found = evaluate(predict, evaluation_loader(cfg, source), **RANGE, **rules)
    return {name: row["abs_rel_least_squares"] for name, row in found.means.items()}


@pytest.mark.slow
def test_a_model_that_knows_days_learns_nights_from_itself_and_forgets_no_day(world, tmp_path):
    model, made = tmp_path / "model", tmp_path / "translated"
    shared = [
        *("DATA.ROOT", str(world), "DATA.SIZE", str([*SIZE]), "OUTPUT_DIR", str(tmp_path), "RUN.NUM_WORKERS", "0"),
        *("MODEL.FOUNDATION", str(model), "DATA.TRANSLATED.ROOT", str(made), "RUN.ACCELERATOR", "cpu"),
    ]
    cfg = load_config(CONFIG, shared)
    days = list(evaluation_loader(cfg, training_source(cfg)))
    save_fresh_model(model)
    learn_days(model, days)
    rows = errors(fit_baselines(days, **RANGE, progress=False)["row mean"], cfg, metric=True)
    before = errors(FoundationDepth(model), cfg)
    assert before["day-clear"] < rows["day-clear"]

    simulated = ("TRANSLATOR.KIND", "simulated", "TRANSLATOR.DEPTH_MODEL", str(model), "TRANSLATOR.SIZE", str([*SIZE]))
    assert translate.main(["--cfg", str(CONFIG), *shared, "NAME", "translated", *simulated]) == 0
    learning = ("SOLVER.LR_ENCODER", "1e-3", "SOLVER.LR_DECODER", "1e-3", "SOLVER.SCHEDULE", "linear")
    learning += ("DATA.TRANSLATED.PROB", "0.5")  # so few steps need more days to forget none
    steps = ("RUN.MAX_STEPS", "200", "RUN.IMAGES_EVERY", "0", "DATA.SQUARE_CROP", "false", "DATA.CACHE", "true")
    assert train.main(["--cfg", str(CONFIG), *shared, "NAME", "run", *learning, *steps]) == 0
    after = errors(FoundationDepth(tmp_path / "run"), cfg)
    assert after["night"] < 0.65 * before["night"]
    for condition in ("day-clear", "day-rain"):  # no worse but for what six frames tell
        assert after[condition] < 1.1 * before[condition]
        assert after[condition] < rows[condition]

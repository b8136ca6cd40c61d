"""The pieces of the translator's training: frames, batches, objective, vocabulary, layout on disk."""

import numpy as np
import pytest
import torch
from finetune_runs import SIZE, made_up_frames

from ude.files import DataError, MissingFileError, write_image
from ude.translation import CONDITIONS
from ude.translation.finetune.autoencoder import random_half, reconstruction_loss
from ude.translation.finetune.averages import average_into
from ude.translation.finetune.controls import control_images, control_of
from ude.translation.finetune.frames import ConditionFrames, TrainingBatches, frame_paths
from ude.translation.finetune.layout import IP_ADAPTER_WEIGHTS, save_small, small_scheduler
from ude.translation.finetune.objective import Noising, denoising_loss, even_steps
from ude.translation.finetune.prompts import training_prompts, without_some
from ude.translation.finetune.schedule import cosine_rate
from ude.translation.finetune.small import SmallDiffusion, SmallSizes
from ude.translation.finetune.words import small_tokenizer


def frames(root, *, most=99, **options):
    made_up_frames(root, **options)
    return ConditionFrames(frame_paths(root, ("night", "rain"), most=most), SIZE)


def batches(found, **options):
    return TrainingBatches(found, **{"batch_size": 4, "flip_prob": 0.5, "seed": 0} | options)


# --- frames


def test_frames_are_evenly_spread_where_there_are_more_than_wanted(tmp_path):
    made_up_frames(tmp_path, count=10)
    found = frame_paths(tmp_path, ("night",), most=4)
    assert [path.name for path in found["night"]] == ["00.png", "02.png", "05.png", "07.png"]


def test_a_condition_without_folder_or_without_images_is_named(tmp_path):
    made_up_frames(tmp_path)
    (tmp_path / "snow").mkdir()
    (tmp_path / "snow" / ".hidden.png").write_bytes(b"")
    with pytest.raises(MissingFileError, match=r"there is no folder .*fog; put frames of 'fog' there"):
        frame_paths(tmp_path, ("night", "fog"), most=9)
    with pytest.raises(DataError, match=r"there is no image in .*snow"):
        frame_paths(tmp_path, ("snow",), most=9)


def test_thumbnails_and_folders_are_no_frames(tmp_path):
    made_up_frames(tmp_path, count=2)
    (tmp_path / "night" / "00_thumb.png").write_bytes((tmp_path / "night" / "00.png").read_bytes())
    (tmp_path / "night" / "folder.jpg").mkdir()
    found = frame_paths(tmp_path, ("night",), most=9)
    assert [path.name for path in found["night"]] == ["00.png", "01.png"]


def test_a_damaged_frame_is_named(tmp_path):
    made_up_frames(tmp_path)
    (tmp_path / "rain" / "03.png").write_bytes(b"no image")
    with pytest.raises(DataError, match=r"rain/03\.png"):
        ConditionFrames(frame_paths(tmp_path, ("night", "rain"), most=9), SIZE)


# --- batches


def test_a_batch_depends_on_seed_and_step_alone(tmp_path):
    found = frames(tmp_path)
    late = iter(batches(found, first_step=lambda: 3))
    early = iter(batches(found))
    for _ in range(3):
        next(early)
    first, second = next(early), next(late)
    assert torch.equal(first["images"], second["images"])
    assert torch.equal(first["references"], second["references"])
    assert first["seed"] == second["seed"]
    assert batches(found, seed=1).batch(3)["seed"] != first["seed"]


def test_conditions_have_equal_shares_whatever_their_number_of_frames(tmp_path):
    made_up_frames(tmp_path, count=2, conditions=("night",))
    made_up_frames(tmp_path, count=9, conditions=("rain",))
    found = ConditionFrames(frame_paths(tmp_path, ("night", "rain"), most=99), SIZE)
    drawn = [name for step in range(3) for name in batches(found, batch_size=3).batch(step)["conditions"]]
    assert abs(drawn.count("night") - drawn.count("rain")) <= 1


def test_a_reference_is_another_frame_of_the_same_condition(tmp_path):
    found = frames(tmp_path, count=3)
    for step in range(20):
        batch = batches(found, flip_prob=0).batch(step)
        for image, reference, condition in zip(batch["images"], batch["references"], batch["conditions"], strict=True):
            own = found.images[list(found.members[condition])]
            assert not torch.equal(image, reference)
            assert any(torch.equal(reference, frame) for frame in own)


def test_controls_are_mirrored_with_their_frames(tmp_path):
    found = frames(tmp_path)
    controls = found.images[:, :1]
    batch = batches(found, batch_size=16).batch(0)
    assert 0 < batch["mirrored"].sum() < 16
    torch.testing.assert_close(control_of(controls, batch), batch["images"][:, :1].expand(-1, 3, -1, -1) / 255)


def test_control_images_are_bright_where_it_is_near():
    images = torch.randint(0, 256, (3, 3, *SIZE), dtype=torch.uint8)
    ramp = torch.linspace(0, 1, SIZE[0]).view(1, 1, -1, 1).expand(-1, -1, -1, SIZE[1])
    controls = control_images(images, lambda batch: ramp.expand(len(batch), -1, -1, -1), size=SIZE, batch_size=2)
    assert controls.shape == (3, 1, *SIZE)
    assert controls.dtype == torch.uint8
    assert controls[0, 0, 0].max() == 0
    assert controls[2, 0, -1].min() == 255


# --- objective


@pytest.mark.parametrize("prediction_type", ["epsilon", "v_prediction"])
def test_noising_is_that_of_the_library(prediction_type):
    from diffusers import DDPMScheduler

    scheduler = DDPMScheduler(prediction_type=prediction_type)
    latents, noise = torch.randn(2, 3, 4, 4, 5).unbind()
    steps = torch.tensor([0, 500, 999])
    noised, target = Noising(scheduler)(latents, noise, steps)
    wanted = noise if prediction_type == "epsilon" else scheduler.get_velocity(latents, noise, steps)
    torch.testing.assert_close(noised, scheduler.add_noise(latents, noise, steps))
    torch.testing.assert_close(target, wanted)


def test_the_last_step_of_the_small_scheduler_has_no_signal():
    latents, noise = torch.randn(2, 1, 4, 4, 4).unbind()
    noised, target = Noising(small_scheduler())(latents, noise, torch.tensor([999]))
    torch.testing.assert_close(noised, noise)
    torch.testing.assert_close(target, -latents)


def test_the_loss_of_a_network_that_knows_the_answer_is_zero():
    noising, latents = Noising(small_scheduler()), torch.randn(4, 2, 4, 4)
    kept = small_scheduler().alphas_cumprod.double()

    def knowing(noised, steps):
        signal, spread = (kept[steps] ** 0.5).view(-1, 1, 1, 1), ((1 - kept[steps]) ** 0.5).view(-1, 1, 1, 1)
        return signal * (noised - signal * latents) / spread.clamp(min=1e-6) - spread * latents

    assert denoising_loss(noising, knowing, latents.double(), seed=0) < 1e-6
    assert denoising_loss(noising, lambda noised, _: torch.zeros_like(noised), latents, seed=0) > 0.2


def test_time_steps_are_one_in_each_part_of_the_range():
    steps = even_steps(8, 1000, torch.Generator().manual_seed(0))
    assert sorted((steps // 125).tolist()) == list(range(8))
    assert steps.tolist() != sorted(steps.tolist())


def test_a_shift_moves_time_steps_towards_noise():
    draws = torch.cat([even_steps(8, 1000, torch.Generator().manual_seed(i), shift=2.5) for i in range(50)])
    assert draws.float().median() == pytest.approx(1000 * 2.5 * 0.5 / 1.75, rel=0.02)
    assert draws.max() <= 999


def test_the_rate_rises_stays_and_falls_to_zero():
    rates = [cosine_rate(step, 100, warmup=9) for step in range(101)]
    assert rates[0] == pytest.approx(0.1)
    assert rates[9:31] == pytest.approx([1.0] * 22)
    assert rates[65] == pytest.approx(0.5)
    assert rates[100] == pytest.approx(0)


def test_an_average_follows_fast_at_first_and_slowly_later():
    early, late = torch.zeros(2), torch.zeros(2)
    average_into([early], [torch.ones(2)], decay=0.9, step=0)
    average_into([late], [torch.ones(2)], decay=0.9, step=10_000)
    assert early.tolist() == pytest.approx([0.95] * 2)
    assert late.tolist() == pytest.approx([0.1] * 2)


# --- autoencoder


def test_windows_are_the_same_for_all_images_of_a_batch():
    images = torch.arange(32 * 64).view(1, 1, 32, 64).expand(2, 3, -1, -1)
    window = random_half(images, torch.Generator().manual_seed(0))
    assert window.shape == (2, 3, 16, 32)
    assert torch.equal(window[0], window[1])
    assert window[0, 0, 0, 0] % 4 == 0


def test_a_grey_reconstruction_costs_more_than_its_brightness_says():
    red = torch.zeros(1, 3, 8, 8)
    red[:, 0] = 0.3
    grey = red.mean(1, keepdim=True).expand(-1, 3, -1, -1)
    assert reconstruction_loss(red, red) == 0
    assert reconstruction_loss(grey, red) == pytest.approx(4 * (grey - red).abs().mean().item())


# --- words


def test_words_of_the_conditions_are_whole_and_others_are_spelled():
    tokenizer = small_tokenizer(CONDITIONS["night"].phrases)
    assert tokenizer.tokenize("A dark street at night") == ["a</w>", "dark</w>", "street</w>", "at</w>", "night</w>"]
    assert tokenizer.get_vocab() == small_tokenizer(CONDITIONS["night"].phrases).get_vocab()
    assert "".join(tokenizer.tokenize("zebra?")).replace("</w>", "") == "zebra?"
    assert tokenizer.unk_token_id not in tokenizer("Zebra crossing, 30 km/h!").input_ids[1:-1]


def test_prompts_are_phrases_of_the_condition_with_its_caption():
    generator = torch.Generator().manual_seed(0)
    drawn = {training_prompts(["night"], CONDITIONS, generator=generator)[0] for _ in range(60)}
    assert drawn == set(CONDITIONS["night"].phrases)
    captioned = training_prompts(["rain"], CONDITIONS, generator=generator, captions=["a car"])
    assert captioned == [f"{CONDITIONS['rain'].phrases[0]}, a car"]


def test_prompts_that_are_left_out_become_empty_or_negative():
    generator = torch.Generator().manual_seed(0)
    found = [without_some(["a", "b"], [False, True], ["", "bad"], generator) for _ in range(20)]
    assert {first for first, _ in found} == {"a"}
    assert {second for _, second in found} == {"", "bad"}


# --- layout


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """A small model and the folder that it was saved to."""
    from ude.translation.finetune.autoencoder import small_autoencoder

    folder = tmp_path_factory.mktemp("small")
    torch.manual_seed(0)
    tokenizer = small_tokenizer([*CONDITIONS["night"].phrases, CONDITIONS["night"].negative])
    model = SmallDiffusion(tokenizer, SmallSizes(widths=(16, 32)))
    with torch.no_grad():
        for parameter in model.control.parameters():  # its last layers begin with zeros
            parameter.add_(0.05 * torch.randn_like(parameter))
    autoencoder = small_autoencoder(8, model.sizes.latent_channels)
    save_small(model, autoencoder, folder)
    return model, folder


def test_the_saved_networks_predict_what_the_trained_ones_do(small):
    """Text, reference and depth in the translator's own pipeline, against the model in training."""
    from ude.translation.diffusion import DiffusionTranslator

    model, folder = small
    translator = DiffusionTranslator(
        str(folder / "base"),
        size=SIZE,
        control=str(folder / "control"),
        ip_adapter=str(folder / "ip_adapter"),
        ip_adapter_weights=IP_ADAPTER_WEIGHTS,
        ip_adapter_scale=1.0,
    )
    pipeline = translator.pipeline
    noised, control = torch.randn(2, 6, 8, 16), torch.rand(2, 3, *SIZE)
    references, steps = torch.rand(2, 3, 50, 90), torch.tensor([10, 900])
    prompts = ["At night", "A dark street at night, seen from a car"]
    with torch.no_grad():
        wanted = model(
            noised, steps, text=model.text(prompts), references=model.references(references), control=control
        )
        text, _ = pipeline.encode_prompt(prompts, "cpu", 1, False)
        side = model.sizes.image_size
        pixels = torch.nn.functional.interpolate(references, (side, side), mode="bicubic", antialias=True).clamp(0, 1)
        mean, deviation = (
            torch.tensor(values).view(1, 3, 1, 1)
            for values in (pipeline.feature_extractor.image_mean, pipeline.feature_extractor.image_std)
        )
        image = pipeline.image_encoder((pixels - mean) / deviation).image_embeds
        down, middle = pipeline.controlnet(noised, steps, text, control, return_dict=False)
        found = pipeline.unet(
            noised,
            steps,
            text,
            added_cond_kwargs={"image_embeds": [image[:, None]]},
            down_block_additional_residuals=down,
            mid_block_additional_residual=middle,
        ).sample
    torch.testing.assert_close(found, wanted, atol=1e-5, rtol=1e-4)


def test_depth_reference_and_prompt_each_change_the_prediction(small):
    model, _ = small
    noised, steps = torch.randn(1, 6, 8, 16), torch.tensor([900])
    plain = {"text": "At night", "references": torch.zeros(1, 3, 8, 8), "control": torch.zeros(1, 3, *SIZE)}
    others = {"text": "Lamps", "references": torch.rand(1, 3, 8, 8), "control": torch.rand(1, 3, *SIZE)}

    def predicted(given):
        text, references = model.text([given["text"]]), model.references(given["references"])
        with torch.no_grad():
            return model(noised, steps, text=text, references=references, control=given["control"])

    for name, other in others.items():
        assert (predicted(plain | {name: other}) - predicted(plain)).abs().max() > 1e-4, name


def test_a_picture_of_another_shape_is_read_at_the_trained_size(tmp_path):
    write_image(tmp_path / "night" / "wide.png", np.zeros((50, 300, 3), np.uint8))
    assert ConditionFrames(frame_paths(tmp_path, ("night",), most=1), SIZE).images.shape == (1, 3, *SIZE)

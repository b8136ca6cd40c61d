import functools
import shutil
from dataclasses import dataclass, field
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from tiny_pipeline import IP_ADAPTER_WEIGHTS, save_tiny_base, save_tiny_pipeline, tiny_control, tiny_unet, tiny_vae
from tiny_pipeline_variants import save_tiny_variants
from tiny_pipeline_xl import save_tiny_xl
from torchvision.transforms.functional import to_pil_image

from ude.files import DataError, load_foreign, save_weights
from ude.translation import CONDITIONS
from ude.translation.depth_control import depth_control
from ude.translation.diffusion import DiffusionTranslator
from ude.translation.diffusion.edges import edge_control
from ude.translation.diffusion.steering import steering

SIZE = (64, 96)
ROUNDING = 1e-4  # a fortieth of a level of an 8-bit image
VISIBLE = 10 / 255
PROMPTS = ("At night", "In a rainy day, wet road", "Snow!", "fog over 3 cars")
INPUTS = ("depth", "references", "images", "prompts", "seeds")
SEEDS = (1, 2**62 + 5, 3, 2**63 - 1)


@dataclass(frozen=True)
class Variant:
    """A tiny translator: which weights, which arguments, and which of its inputs matter beside prompt and seed."""

    folder: str
    uses: tuple[str, ...]
    base: str = "base"
    weights: dict[str, str] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)
    ip_adapter: bool = True


def sd(pipeline="ControlNetPipeline", uses=("depth", "references"), *, base="base", ip_adapter=True, **arguments):
    return variant("sd", f"StableDiffusion{pipeline}", uses, base, ip_adapter, {"control": "control"} | arguments)


def xl(pipeline="ControlNetPipeline", uses=("depth", "references"), **arguments):
    return variant("xl", f"StableDiffusionXL{pipeline}", uses, "base", True, {"control": "control"} | arguments)


def variant(folder, pipeline, uses, base, ip_adapter, arguments):
    weights = {name: arguments.pop(name) for name in ("control", "edges", "lora", "vae") if arguments.get(name)}
    arguments.pop("control", None)
    return Variant(folder, uses, base, weights, {"pipeline": pipeline, **arguments}, ip_adapter)


FRAME = ("depth", "references", "images")
LCM = {"scheduler": "LCMScheduler", "guidance_scale": 1.0}
HYPER = {"scheduler": "DDIMScheduler", "timestep_spacing": "trailing", "guidance_scale": 5.0}
VARIANTS = {
    "controlnet": sd(),
    "img2img": sd("ControlNetImg2ImgPipeline", FRAME, steps=3),
    "depth and edges": sd(uses=FRAME, edges="edges"),
    "t2i adapter": sd("AdapterPipeline", ("depth",), control="t2i_adapter", ip_adapter=False),
    "lcm": sd(lora="lora", **LCM),
    "hyper": sd(lora="lora", **HYPER),
    "pix2pix": sd("InstructPix2PixPipeline", ("references", "images"), base="instruct", control=""),
    "xl controlnet": xl(),
    "xl img2img": xl("ControlNetImg2ImgPipeline", FRAME, steps=3),
    "xl t2i adapter": xl("AdapterPipeline", control="t2i_adapter"),
    "xl union": xl("ControlNetUnionPipeline", control="union"),
    "xl union and edges": xl("ControlNetUnionPipeline", FRAME, control="union", edges="union"),
    "xl union img2img": xl("ControlNetUnionImg2ImgPipeline", FRAME, control="union", steps=3),
}
SLOW = ("controlnet", "hyper", "xl img2img", "xl union img2img")
"""The first has tests of its own; the others differ from a variant here in one argument."""


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    root = tmp_path_factory.mktemp("weights")
    save_tiny_pipeline(root / "sd")
    save_tiny_variants(root / "sd")
    save_tiny_xl(root / "xl")
    return root


def load(weights, chosen: Variant, **changes):
    root = weights / chosen.folder
    places = {name: str(root / folder) for name, folder in chosen.weights.items()}
    if chosen.ip_adapter:
        places |= {"ip_adapter": str(root / "ip_adapter"), "ip_adapter_weights": IP_ADAPTER_WEIGHTS}
    arguments = {"size": SIZE, "steps": 2, "ip_adapter_scale": 1.0, **places, **chosen.options, **changes}
    return DiffusionTranslator(str(arguments.pop("base", root / chosen.base)), **arguments)


@pytest.fixture(scope="module")
def loaded(weights):
    """Loads a variant by its name, once."""
    return functools.cache(lambda name: load(weights, VARIANTS[name]))


def blocks(channels, size, seed):
    """Four random images of large blocks (4, C, height, width)."""
    coarse = torch.rand(4, channels, 4, 6, generator=torch.Generator().manual_seed(seed))
    return F.interpolate(coarse, size, mode="nearest")


DEPTH, REFERENCES, IMAGES = blocks(1, SIZE, 0), blocks(3, (224, 224), 1), blocks(3, SIZE, 2)


def generate(translator, rows, **other):
    """Images of some of the four samples; each input may be taken from other samples."""
    taken = {name: other.get(name, rows) for name in INPUTS}
    return translator(
        IMAGES[taken["images"]],
        condition=CONDITIONS["night"],
        seeds=[SEEDS[i] for i in taken["seeds"]],
        depth=DEPTH[taken["depth"]],
        prompts=[PROMPTS[i] for i in taken["prompts"]],
        references=REFERENCES[taken["references"]] if translator.takes_references else None,
    )


def difference(first, second):
    return float((first - second).abs().max())


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow if name in SLOW else ()) for name in VARIANTS]
)
def test_every_input_of_a_variant_matters_and_the_rest_of_its_batch_does_not(loaded, name):
    chosen, translator = VARIANTS[name], loaded(name)
    assert translator.takes_depth == ("depth" in chosen.uses)
    assert translator.takes_references == ("references" in chosen.uses)
    four, shuffled = generate(translator, [0, 1, 2, 3]), generate(translator, [2, 0, 3, 1])
    assert torch.equal(four[[2, 0, 3, 1]], shuffled)
    alone, pair = generate(translator, [0]), generate(translator, [1, 0])
    assert difference(four[:1], alone) <= ROUNDING
    assert difference(four[[1, 0]], pair) <= ROUNDING
    assert four.shape == (4, 3, *SIZE)
    assert float(four.std()) > 0.05
    same = [0] * len(INPUTS)
    changed = generate(translator, same, **{name: [int(name == other) for other in INPUTS] for name in INPUTS})
    for i, name in enumerate(INPUTS):
        if name in (*chosen.uses, "prompts", "seeds"):
            assert difference(changed[i], alone[0]) > VISIBLE, name
        else:
            assert difference(changed[i], alone[0]) <= ROUNDING, name


def test_edges_and_their_weight_change_the_image(weights, loaded):
    without, edges = generate(loaded("controlnet"), [0]), generate(loaded("depth and edges"), [0])
    assert difference(edges, without) > VISIBLE
    weightless = load(weights, VARIANTS["depth and edges"], edges_scale=0)
    assert difference(generate(weightless, [0]), without) <= ROUNDING


def test_the_edges_are_those_of_opencv():
    import cv2

    image = blocks(3, SIZE, 4)[:1]
    edges = edge_control(image, SIZE)
    pixels = (image[0].movedim(0, -1).numpy() * 255).round().astype("uint8")
    grey = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
    expected = torch.from_numpy(cv2.Canny(grey, 100, 200, L2gradient=True) > 0)
    assert edges.shape == (1, 3, *SIZE)
    assert set(edges.unique().tolist()) == {0.0, 1.0}
    inside = (slice(1, -1), slice(1, -1))  # the libraries pad borders differently
    assert float((edges[0, 0][inside] != expected[inside]).float().mean()) < 0.01
    assert float(expected.float().mean()) > 0.02


def test_a_lora_is_merged_by_its_weight_and_leaves_no_adapter(weights, loaded):
    plain = generate(load(weights, sd(**LCM)), [0])
    assert difference(generate(loaded("lcm"), [0]), plain) > VISIBLE
    assert difference(generate(load(weights, VARIANTS["lcm"], lora_scale=0), [0]), plain) <= ROUNDING
    assert not any("lora" in name for name, _ in loaded("lcm").pipeline.unet.named_modules())


def test_strength_one_starts_from_noise_and_less_keeps_the_frame(weights):
    image = VARIANTS["img2img"]
    results = [generate(load(weights, image, steps=4, strength=s), [0]) for s in (0.25, 0.75)]
    assert difference(*results) > VISIBLE


def test_another_autoencoder_takes_the_place_of_the_base_models(weights, loaded):
    assert difference(generate(load(weights, sd(vae="vae")), [0]), generate(loaded("controlnet"), [0])) > VISIBLE


def test_networks_run_in_bfloat16(weights):
    half = load(weights, VARIANTS["xl union"], dtype="bfloat16")
    assert half.pipeline.controlnet.dtype == half.pipeline.unet.dtype == torch.bfloat16
    assert float(generate(half, [0, 1]).std()) > 0.05


def test_compiling_covers_every_network_of_the_denoising_loop_in_place(weights, monkeypatch):
    compiled = []
    monkeypatch.setattr(torch.nn.Module, "compile", lambda module: compiled.append(module))
    translator = load(weights, VARIANTS["depth and edges"], compile_networks=True, vae_slicing=True)
    nets = translator.pipeline.controlnet.nets
    assert compiled == [translator.pipeline.unet, *nets]
    assert translator.pipeline.vae.use_slicing


def test_a_pipeline_of_four_pixels_per_latent_generates_multiples_of_four(weights, tmp_path):
    unet = tiny_unet()
    save_tiny_base(tmp_path / "base", unet, tiny_vae(levels=3))
    tiny_control(unet, (4, 4, 8)).save_pretrained(tmp_path / "control")
    small = DiffusionTranslator(str(tmp_path / "base"), control=str(tmp_path / "control"), size=(60, 100), steps=1)
    result = small(torch.zeros(1, 3, 60, 100), condition=CONDITIONS["night"], seeds=[0], depth=DEPTH[:1])
    assert result.shape == (1, 3, 60, 100)
    with pytest.raises(DataError, match="made for latents of another size"):
        DiffusionTranslator(str(tmp_path / "base"), control=str(weights / "sd" / "control"), size=SIZE)


def test_an_sdxl_adapter_asks_for_multiples_of_sixteen(weights):
    with pytest.raises(DataError, match=r"multiples of 16 px, got \(72, 96\); use \(64, 96\)"):
        load(weights, VARIANTS["xl t2i adapter"], size=(72, 96))


def test_each_reference_is_encoded_once(weights, monkeypatch):
    translator, batches = load(weights, VARIANTS["controlnet"]), []
    encode = translator.pipeline.encode_image
    monkeypatch.setattr(
        translator.pipeline, "encode_image", lambda x, *a, **k: batches.append(len(x)) or encode(x, *a, **k)
    )
    first = generate(translator, [0, 1], references=[0, 0])
    again = generate(translator, [0, 1], references=[0, 0])
    generate(translator, [0, 1], references=[1, 0])
    assert batches == [1, 1]
    assert torch.equal(first, again)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"pipeline": "FluxPipeline"}, "pipeline must be one of .*StableDiffusionControlNetPipeline, "),
        ({"control": ""}, "StableDiffusionControlNetPipeline needs control, got ''"),
        ({"pipeline": "StableDiffusionInstructPix2PixPipeline"}, "takes no control"),
        ({"pipeline": "StableDiffusionAdapterPipeline"}, "StableDiffusionAdapterPipeline takes no image prompt"),
        ({"pipeline": "StableDiffusionXLAdapterPipeline", "edges": "x"}, "takes no edges"),
        ({"pipeline": "StableDiffusionXLControlNetUnionPipeline", "edges": "x"}, "is its network for edges, too"),
    ],
)
def test_a_pipeline_refuses_what_it_does_not_take(weights, changes, problem):
    with pytest.raises(ValueError, match=problem):
        load(weights, VARIANTS["controlnet"], **changes)


def test_instructions_without_weight_of_the_frame_are_refused(weights):
    with pytest.raises(ValueError, match="image_guidance_scale below 1 switches all guidance off"):
        load(weights, VARIANTS["pix2pix"], image_guidance_scale=0.5)


@pytest.mark.parametrize(
    ("name", "changes", "problem"),
    [
        ("controlnet", {"base": "xl/base"}, "StableDiffusionControlNetPipeline needs an SD 1.5 base model"),
        ("xl controlnet", {"base": "sd/base"}, "cannot load the base model"),
        ("pix2pix", {"base": "sd/base"}, "its UNet takes 4 channels, .* gives it 8"),
        ("controlnet", {"base": "sd/instruct"}, "its UNet takes 8 channels, .* gives it 4"),
        ("controlnet", {"control": "xl/control"}, "made for another base model"),
        ("controlnet", {"control": "sd/t2i_adapter"}, "it is a T2IAdapter, not a ControlNetModel"),
        ("xl union", {"control": "xl/control"}, "it is not a whole ControlNetUnionModel"),
        ("t2i adapter", {"control": "xl/t2i_adapter"}, "made for SDXL"),
        ("controlnet", {"ip_adapter": "xl/ip_adapter"}, "cannot load the IP-Adapter"),
        ("controlnet", {"vae": "sd/control"}, "it is a ControlNetModel, not one of AutoencoderKL"),
        ("controlnet", {"lora": "sd/control"}, "cannot load the LoRA .* has no pytorch_lora_weights.safetensors"),
        ("xl controlnet", {"lora": "sd/lora"}, "cannot load the LoRA"),
    ],
)
def test_networks_that_do_not_fit_together_are_one_line(weights, name, changes, problem):
    with pytest.raises(DataError, match=problem) as caught:
        load(weights, VARIANTS[name], **{key: str(weights / place) for key, place in changes.items()})
    assert "\n" not in str(caught.value)


def test_an_adapter_that_is_a_pickle_is_read_after_the_conversion_that_its_config_tells(weights, loaded, tmp_path):
    folder = shutil.copytree(weights / "sd" / "t2i_adapter", tmp_path / "adapter")
    safe = folder / "diffusion_pytorch_model.safetensors"
    torch.save(load_file(safe), safe.with_suffix(".bin"))
    safe.unlink()
    chosen = VARIANTS["t2i adapter"]
    with pytest.raises(DataError, match="cannot load the T2I-Adapter"):
        load(weights, chosen, control=str(folder))
    save_weights(safe, load_foreign(safe.with_suffix(".bin")))
    assert torch.equal(generate(load(weights, chosen, control=str(folder)), [0]), generate(loaded("t2i adapter"), [0]))


@pytest.mark.parametrize(("name", "guidance"), [("controlnet", "text"), ("pix2pix", "edit"), ("xl union", "text")])
def test_one_reference_gives_the_rows_of_the_pipelines_own_method(loaded, name, guidance):
    translator = loaded(name)
    pipeline = translator.pipeline
    picture = (REFERENCES[:1, :, ::7, ::7] * 255).round().to(torch.uint8)  # as large as the encoder's input
    assert translator._guidance == guidance
    with torch.no_grad():
        rows = translator._image_prompt(picture / 255, guidance)
        (expected,) = type(pipeline).prepare_ip_adapter_image_embeds(
            pipeline, to_pil_image(picture[0]), None, pipeline.device, 1, True
        )
    assert torch.allclose(rows, expected, atol=1e-5)


def test_a_union_is_told_which_picture_is_depth_and_which_edges():
    taken = ("control_image", "control_mode", "controlnet_conditioning_scale")
    given = steering(taken, IMAGES[:1], DEPTH[:1], SIZE, [1.0, 0.5])
    assert given["control_mode"] == [1, 3]
    assert given["controlnet_conditioning_scale"] == [1.0, 0.5]
    assert torch.equal(given["control_image"][0], depth_control(DEPTH[:1], SIZE))
    assert torch.equal(given["control_image"][1], edge_control(IMAGES[:1], SIZE))
    alone = steering(taken, IMAGES[:1], DEPTH[:1], SIZE, [1.0])
    assert (alone["control_mode"], len(alone["control_image"])) == ([1], 1)

import json
import shutil
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import torch
from huggingface_hub import constants
from safetensors.torch import load_file, save_file
from tiny_pipeline import IP_ADAPTER_WEIGHTS, save_tiny_pipeline

from ude.files import DataError
from ude.translation.diffusion import DiffusionTranslator
from ude.translation.diffusion.weights import weights_named

SIZE = (64, 96)
COMMIT = "0123456789abcdef0123456789abcdef01234567"
KINDS = {
    "base": "base model",
    "control": "ControlNet",
    "ip_adapter": "IP-Adapter",
    "lora": "LoRA",
    "vae": "autoencoder",
}


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    root = tmp_path_factory.mktemp("weights")
    save_tiny_pipeline(root)
    return root


def load(weights, **kwargs):
    arguments = {
        "control": str(weights / "control"),
        "size": SIZE,
        "ip_adapter_weights": IP_ADAPTER_WEIGHTS,
        "steps": 1,
    }
    return DiffusionTranslator(str(kwargs.pop("base", weights / "base")), **{**arguments, **kwargs})


@pytest.fixture
def hub(monkeypatch, tmp_path):
    """Starts a hub on this machine that answers every question by one code and error, or not at all."""
    servers = []

    def start(status: int, code: str) -> None:
        class Answer(BaseHTTPRequestHandler):
            def do_HEAD(self):
                if not status:
                    time.sleep(8)
                    return
                self.send_response(status)
                self.send_header("X-Error-Code", code)
                self.send_header("Content-Length", "0")
                self.end_headers()

            do_GET = do_HEAD  # noqa: N815

            def log_message(self, *_):
                pass

        servers.append(ThreadingHTTPServer(("127.0.0.1", 0), Answer))
        threading.Thread(target=servers[0].serve_forever, daemon=True).start()
        listen_at(servers[0].server_port)

    def listen_at(port: int) -> None:
        place = f"http://127.0.0.1:{port}"
        monkeypatch.setattr(constants, "ENDPOINT", place)
        monkeypatch.setattr(
            constants, "HUGGINGFACE_CO_URL_TEMPLATE", place + "/{repo_id}/resolve/{revision}/{filename}"
        )

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    listen_at(9)  # where nobody listens
    yield start
    for server in servers:
        server.shutdown()


def one_line(weights, tmp_path, argument, name):
    """The message about weights that cannot be had, which comes at once and leaves nothing behind."""
    began = time.monotonic()
    with pytest.raises(DataError) as caught:
        load(weights, **{argument: name})
    assert time.monotonic() - began < 10
    message = str(caught.value)
    assert message.startswith(f"cannot load the {KINDS[argument]} {name!r}: ")
    assert "\n" not in message
    assert not list(tmp_path.rglob("*"))
    return message


@pytest.mark.parametrize("argument", KINDS)
def test_a_model_that_the_hub_does_not_have_is_one_line(weights, hub, tmp_path, argument):
    hub(404, "RepoNotFound")
    message = one_line(weights, tmp_path, argument, "nobody/gone")
    assert "the hub has no such model, or it is private; name another hub id or a local folder" in message


@pytest.mark.parametrize("argument", KINDS)
def test_a_revision_that_the_hub_does_not_have_is_one_line(weights, hub, tmp_path, argument):
    hub(404, "RevisionNotFound")
    message = one_line(weights, tmp_path, argument, "somebody/model@0123abc")
    assert "the hub has no such revision; name another revision behind the @, or none: somebody/model" in message


@pytest.mark.parametrize("argument", KINDS)
def test_without_network_the_download_is_the_remedy(weights, hub, tmp_path, argument):
    message = one_line(weights, tmp_path, argument, "somebody/model@v1")
    assert "it is not on this machine, and the hub cannot be reached" in message
    assert "run: hf download somebody/model --revision v1, or name a local folder" in message


def test_a_hub_that_never_answers_is_one_line(weights, hub, tmp_path):
    hub(0, "")
    assert "the hub cannot be reached (timed out)" in one_line(weights, tmp_path, "control", "somebody/model")


@pytest.mark.parametrize("argument", KINDS)
def test_offline_weights_that_are_not_there_are_one_line(weights, tmp_path, argument):
    message = one_line(weights, tmp_path, argument, "nobody/no-such-model")
    assert "it is not on this machine, and HF_HUB_OFFLINE is set" in message
    assert "hf download nobody/no-such-model" in message


def save_in_cache(cache, repository, folder, revision):
    """Put a folder where the hub's library keeps what it has downloaded."""
    place = cache / f"models--{repository.replace('/', '--')}"
    shutil.copytree(folder, place / "snapshots" / COMMIT)
    (place / "refs").mkdir()
    (place / "refs" / revision).write_text(COMMIT)


@pytest.fixture
def cache(monkeypatch, weights, tmp_path):
    """A cache with the tiny weights as org/base and so on, all at the revision v1 only."""
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    for name in ("base", "control", "ip_adapter"):
        save_in_cache(tmp_path / "cache", f"org/{name}", weights / name, "v1")
    return tmp_path / "cache"


def test_weights_in_the_cache_load_offline_by_their_revision(weights, cache):
    names = {name: f"org/{name}@v1" for name in ("base", "control", "ip_adapter")}
    found, expected = load(weights, **names), load(weights, ip_adapter=str(weights / "ip_adapter"))
    for part in ("unet", "controlnet", "image_encoder", "vae", "text_encoder"):
        first, second = (getattr(translator.pipeline, part).state_dict() for translator in (found, expected))
        assert all(torch.equal(first[key], second[key]) for key in second)


@pytest.mark.parametrize("argument", ["base", "control", "ip_adapter"])
def test_a_revision_that_is_not_in_the_cache_is_not_replaced_by_another(weights, cache, argument):
    with pytest.raises(DataError, match=f"cannot load the {KINDS[argument]} .*it is not on this machine"):
        load(weights, **{argument: f"org/{argument}@v2"})


@pytest.mark.parametrize(("argument", "part"), [("base", "unet"), ("control", ".")])
def test_a_download_that_is_not_complete_is_one_line(weights, cache, argument, part):
    place = cache / f"models--org--{argument}" / "snapshots" / COMMIT / part
    (place / "diffusion_pytorch_model.safetensors").unlink()
    with pytest.raises(DataError, match=f"cannot load the {KINDS[argument]} .*hf download") as caught:
        load(weights, **{argument: f"org/{argument}@v1"})
    assert "\n" not in str(caught.value)


def test_code_of_a_downloaded_pipeline_is_never_run(weights, cache, canary):
    ran, code = canary
    place = cache / "models--org--base" / "snapshots" / COMMIT
    edited(place / "model_index.json", unet=["evil", "Evil"])
    for path in (place / "pipeline.py", place / "unet" / "evil.py"):
        path.write_text(code)
    with pytest.raises(DataError, match="its unet is code of its own, which is never run"):
        load(weights, base="org/base@v1")
    assert not ran.exists()


def test_a_name_may_end_in_a_revision_unless_a_folder_is_called_so(tmp_path):
    assert weights_named("org/model@abc") == ("org/model", "abc")
    assert weights_named("org/model") == ("org/model", None)
    folder = tmp_path / "model@home"
    folder.mkdir()
    assert weights_named(str(folder)) == (str(folder), None)


def test_missing_weights_have_the_exit_code_of_data(weights):
    with pytest.raises(DataError) as caught:
        load(weights, control="nobody/no-such-control")
    assert caught.value.exit_code == 4


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        ({"base": "/absent/folder"}, "base model"),
        ({"ip_adapter": "/absent/folder"}, "IP-Adapter"),
        ({"ip_adapter_weights": "absent.safetensors"}, "IP-Adapter"),
    ],
)
def test_absent_folders_and_files_are_named(weights, change, kind):
    with pytest.raises(DataError, match=f"cannot load the {kind} .*put a complete model in the folder"):
        load(weights, **{"ip_adapter": str(weights / "ip_adapter"), **change})


def test_damaged_weights_are_refused(weights, tmp_path):
    broken = shutil.copytree(weights / "control", tmp_path / "control")
    file = broken / "diffusion_pytorch_model.safetensors"
    file.write_bytes(file.read_bytes()[:2000])
    with pytest.raises(DataError, match="cannot load the ControlNet"):
        load(weights, control=str(broken))


@pytest.mark.parametrize(
    ("argument", "folder", "kind"), [("control", "control", "ControlNet"), ("base", "base", "base model")]
)
def test_pickled_weights_are_refused(weights, tmp_path, argument, folder, kind):
    pickled = shutil.copytree(weights / folder, tmp_path / folder)
    safe = next(pickled.rglob("diffusion_pytorch_model.safetensors"))
    torch.save(load_file(safe), safe.with_suffix(".bin"))
    safe.unlink()
    with pytest.raises(DataError, match=f"cannot load the {kind}"):
        load(weights, **{argument: str(pickled)})


@pytest.fixture
def canary(tmp_path):
    """A file that foreign code would leave, and that code."""
    ran = tmp_path / "ran"
    return ran, f"from pathlib import Path\nPath({str(ran)!r}).touch()\nclass Evil:\n    pass\n"


def edited(path, **values):
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


@pytest.mark.parametrize(
    ("index", "reason"),
    [
        ({"unet": ["evil", "Evil"]}, "its unet is code of its own, which is never run"),
        ({"_class_name": ["pipeline", "Evil"]}, "its _class_name is code of its own, which is never run"),
        ({}, "it brings code of its own .pipeline.py., which is never run"),
    ],
)
def test_code_in_a_pipelines_folder_is_never_run(weights, tmp_path, canary, index, reason):
    ran, code = canary
    folder = shutil.copytree(weights / "base", tmp_path / "base")
    edited(folder / "model_index.json", **index)
    for place in (folder / "evil.py", folder / "pipeline.py", folder / "unet" / "evil.py"):
        place.write_text(code)
    with pytest.raises(DataError, match=f"cannot load the base model .*{reason}"):
        load(weights, base=str(folder))
    assert not ran.exists()


@pytest.mark.parametrize(
    ("argument", "folder", "inside"),
    [
        ("base", "base", "unet"),
        ("base", "base", "text_encoder"),
        ("control", "control", "."),
        ("ip_adapter", "ip_adapter", "models/image_encoder"),
        ("vae", "base/vae", "."),
    ],
)
def test_code_that_a_model_asks_for_is_never_run(weights, tmp_path, canary, argument, folder, inside):
    ran, code = canary
    place = shutil.copytree(weights / folder, tmp_path / "model")
    edited(place / inside / "config.json", auto_map={"AutoModel": "evil.Evil"})
    for path in (place / "evil.py", place / inside / "evil.py"):
        path.write_text(code)
    with pytest.raises(DataError, match=f"cannot load the {KINDS[argument]} .*auto_map.*never run"):
        load(weights, **{argument: str(place)})
    assert not ran.exists()


@pytest.mark.parametrize("argument", ["ip_adapter", "lora"])
def test_an_adapter_that_is_no_safetensors_file_is_refused(weights, tmp_path, argument):
    (tmp_path / "models").mkdir()
    for folder in (tmp_path, tmp_path / "models"):
        torch.save({"lora": torch.zeros(1)}, folder / "adapter.bin")
    with pytest.raises(DataError, match=f"cannot load the {KINDS[argument]} .*adapter.bin is not a safetensors file"):
        load(weights, **{argument: str(tmp_path), f"{argument}_weights": "adapter.bin"})


def test_a_lora_that_fits_nothing_is_refused(weights, tmp_path):
    save_file({"transformer.block.lora_A.weight": torch.zeros(2, 2)}, tmp_path / "pytorch_lora_weights.safetensors")
    with pytest.raises(DataError, match="cannot load the LoRA"):
        load(weights, lora=str(tmp_path))

"""Where ImageNet weights come from: a quick answer without a network, what is cached, what a package holds."""

import socket
import time

import pytest
import timm
import torch
from safetensors.torch import save_file

from lib import ModelError, weight_file
from lib.backbones import Backbone

ENVIRONMENT = ("HF_HUB_OFFLINE", "HF_ENDPOINT", "HUGGINGFACE_HUB_CACHE", "HTTPS_PROXY", "https_proxy")


@pytest.fixture(autouse=True)
def environment(monkeypatch, tmp_path):
    """An empty cache, and no setting of whoever runs the tests."""
    for name in ENVIRONMENT:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))


@pytest.fixture
def asked(monkeypatch):
    """The addresses that a connection was tried to; none of them answers."""
    addresses = []

    def refuse(address, timeout=None):
        addresses.append(address)
        raise socket.gaierror("no such name")

    monkeypatch.setattr(socket, "create_connection", refuse)
    return addresses


def test_without_a_network_the_ways_out_are_told(asked):
    with pytest.raises(ModelError) as error:
        Backbone("resnet18", pretrained=True)
    assert asked == [("huggingface.co", 443)]
    told = str(error.value)
    assert told.startswith("the ImageNet weights of resnet18 cannot be had through timm (no network: huggingface.co ")
    assert "1. connect to the network" in told and "2. download the file elsewhere" in told
    assert "3. train from scratch with --net_pretrained_backbone_path none" in told


def test_a_host_that_never_answers_is_given_up_within_two_seconds(monkeypatch):
    def wait(address, timeout=None):
        time.sleep(4)
        raise TimeoutError

    monkeypatch.setattr(socket, "create_connection", wait)
    Backbone("resnet18")  # what is built without weights is not counted
    started = time.perf_counter()
    with pytest.raises(ModelError, match="no network"):
        Backbone("resnet18", pretrained=True)
    assert time.perf_counter() - started < 3  # 1.5 seconds of patience, and what a busy machine takes


def test_a_proxy_or_another_endpoint_is_what_must_answer(monkeypatch, asked):
    monkeypatch.setenv("HF_ENDPOINT", "http://mirror.example")
    with pytest.raises(ModelError, match=r"mirror\.example does not answer"):
        Backbone("resnet18", pretrained=True)
    monkeypatch.setenv("https_proxy", "http://proxy.example:3128")
    with pytest.raises(ModelError, match=r"proxy\.example does not answer"):
        Backbone("resnet18", pretrained=True)
    assert asked == [("mirror.example", 80), ("proxy.example", 3128)]


def test_the_hub_told_to_stay_offline_is_not_asked(monkeypatch, asked):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(ModelError, match="HF_HUB_OFFLINE is set"):
        Backbone("resnet18", pretrained=True)
    assert asked == []


def test_cached_weights_are_used_without_a_network(tmp_path, asked):
    whole = timm.create_model("resnet18").state_dict()
    folder = tmp_path / "hub" / "models--timm--resnet18.a1_in1k"
    (folder / "refs").mkdir(parents=True)
    (folder / "refs" / "main").write_text("abc")
    (folder / "snapshots" / "abc").mkdir(parents=True)
    save_file(whole, folder / "snapshots" / "abc" / "model.safetensors")
    torch.manual_seed(1)
    backbone = Backbone("resnet18", pretrained=True)
    for name, value in backbone.net.state_dict().items():
        assert torch.equal(value, whole[name]), name
    assert asked == []


def install(folder, *files):
    """Put a package `some-weights` with these files on a folder of packages."""
    facts = folder / "some_weights-1.0.dist-info"
    facts.mkdir(parents=True)
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: some-weights\nVersion: 1.0\n")
    (facts / "RECORD").write_text("".join(f"{name},,\n" for name in files))
    for name in files:
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(b"")


def test_a_package_gives_its_one_weight_file(tmp_path, monkeypatch):
    install(tmp_path, "some_weights/__init__.py", "some_weights/net-1.pth")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert weight_file("pip:some-weights") == str(tmp_path / "some_weights" / "net-1.pth")
    assert weight_file("a/file.pth") == "a/file.pth"


@pytest.mark.parametrize("files", [["w/__init__.py"], ["w/a.pth", "w/b.safetensors"]])
def test_a_package_without_one_weight_file_is_refused(tmp_path, monkeypatch, files):
    install(tmp_path, *files)
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(ModelError, match="expected a package with one weight file") as error:
        weight_file("pip:some-weights")
    assert "holds none" in str(error.value) or "holds w/a.pth, w/b.safetensors" in str(error.value)


@pytest.mark.parametrize(("source", "command"), [("pip:not-there", "not-there"), ("pip:", "PACKAGE")])
def test_a_package_that_is_not_installed_is_asked_for(source, command):
    with pytest.raises(ModelError, match=f"run: pip install --no-deps {command}"):
        weight_file(source)

"""Options of training that are wrong: a sentence that names what to do, and exit code 2."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import pytest
from click.testing import CliRunner

from daemon.cli import main
from models import checkpoint, cli
from models.data import song_cache
from models.devices import DeviceError, parse_devices
from music.errors import UserError
from tests.support.training import GAN, HARMONIST, list_settings, make_song


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("music") / "c.npz"
    song_cache.save(path, [make_song(n, split=p) for n in "ab" for p in ("train", "valid")])
    return path


def train(technique: str, out: Path, cache: Path, *options: str) -> str:
    """Return what a run says that ends with exit code 2."""
    small = list_settings(model=HARMONIST, patches=16, batch=2) if technique == "harmonist" else []
    common = ["-o", str(out), "--cache", str(cache), "--steps", "1", "--accelerator", "cpu", *small]
    result = CliRunner().invoke(main, ["train", technique, *common, *options])
    assert result.exit_code == 2, (result.output, result.exception)
    return result.output


@pytest.mark.parametrize(
    ("technique", "setting", "said"),
    [
        ("gan", "batch=abc", "batch: wants a whole number from 1 to 65536, not 'abc'"),
        ("gan", "batch=0", "not 0"),
        ("gan", "batch=-1", "not -1"),
        ("gan", "batch=2.5", "not 2.5"),
        ("gan", "batch=true", "not True"),
        ("gan", "batch=1" + "0" * 400, "not 1000"),
        ("gan", "batch=" + "9" * 5000, "not '9999"),
        ("gan", "learning_rate=NaN", "learning_rate: wants a number from 1e-12 to 10, not nan"),
        ("gan", "learning_rate=1e999", "not inf"),
        ("gan", "noise=1", "noise: wants true or false, not 1"),
        ("gan", "harmonist=3", "harmonist: wants a text, not 3"),
        ("gan", "colour=blue", "'colour': no such value of the recipe; there are harmonist, begin_with, model"),
        ("gan", "model={'z':4}", "model: wants a table of values"),
        ("gan", 'model={"fine":[3]}', "model: fine: wants a list of 2, not [3]"),
        ("gan", 'model={"fine":[0,3]}', "model: fine: wants a whole number"),
        ("gan", "batch", "--set batch: not KEY=VALUE"),
        ("gan", "x=" + "[" * 100_000, "'x': no such value"),
        ("arcnn", "weights=[1,2]", "weights: wants 4 numbers, for chorale"),
        ("arcnn", "published=yes", "published: wants true or false"),
        ("transformer", 'model={"hand":33}', "hand: wants a multiple of 32, not 33"),
        ("harmonist", 'weights={"bands":"x"}', "weights: wants a number"),
    ],
)
def test_a_recipe_takes_only_values_that_make_sense(technique: str, setting: str, said: str) -> None:
    kind = cli._load_objective(technique)
    with pytest.raises(UserError) as error:
        kind.read_recipe(dict([cli._parse_setting(setting)]))
    assert said in str(error.value)


@pytest.mark.parametrize("technique", cli.TECHNIQUES)
def test_a_recipe_is_what_it_was_after_a_checkpoint(technique: str) -> None:
    kind = cli._load_objective(technique)
    recipe = kind.read_recipe({})
    assert kind.read_recipe(json.loads(json.dumps(asdict(recipe)))) == recipe


def test_devices_are_counted_listed_or_found() -> None:
    assert parse_devices("2", "cpu") == 2
    assert parse_devices("auto", "cpu") == "auto"
    assert parse_devices("0,2", "auto") == [0, 2]
    for text in ("0", "-1", "abc", "1.5", "", "99999", "1e3", "0,1"):
        with pytest.raises(DeviceError, match="--devices"):
            parse_devices(text, "cpu")
    with pytest.raises(DeviceError, match="cores"):
        parse_devices("1000", "cpu")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--devices", "0"], "--devices 0: wants a number from 1"),
        (["--accelerator", "tpu"], "'tpu' is not one of"),
        (["--nodes", "0"], "--nodes"),
        (["--precision", "16-mixed"], "--precision"),
        (["--seed", "-1"], "--seed"),
        (["--steps", "0"], "--steps"),
        (["--set", "batch=0"], "--set batch: wants"),
        (["--set", "begin_with=nowhere"], "nowhere: not a training run: there is no such folder"),
        (["--resume"], "not a training run: there is no such folder"),
    ],
)
def test_a_wrong_option_is_one_sentence(options: list[str], said: str, tmp_path: Path, cache: Path) -> None:
    assert said in train("harmonist", tmp_path / "run", cache, *options)


def test_an_accelerator_that_is_not_there_is_one_sentence(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert "this machine has none" in train("harmonist", tmp_path / "run", cache, "--accelerator", "cuda")


def test_music_that_is_of_no_use_is_one_sentence(tmp_path: Path, cache: Path) -> None:
    run = tmp_path / "run"
    assert "no regular file" in train("harmonist", run, tmp_path)
    assert "no cache at" in train("harmonist", run, tmp_path / "none.npz")
    assert "no such folder of training music" in train("harmonist", run, tmp_path / "n.npz", "--data", "/nowhere")
    (tmp_path / "torn.npz").write_bytes(cache.read_bytes()[:300])
    assert "not a cache of training music" in train("harmonist", run, tmp_path / "torn.npz")
    song_cache.save(tmp_path / "short.npz", [make_song(bars=1)])
    for technique in ("gan", "transformer"):
        assert "no song" in train(technique, run, tmp_path / "short.npz")
    song_cache.save(tmp_path / "other.npz", [make_song(style="polka")])
    assert "no song" in train("arcnn", run, tmp_path / "other.npz")


def test_a_folder_that_cannot_be_a_run_is_one_sentence(tmp_path: Path, cache: Path) -> None:
    (tmp_path / "file").write_text("")
    for name in ("file", "file/run", "x" * 300):
        assert "cannot be a run's folder" in train("harmonist", tmp_path / name, cache)


def test_going_on_says_what_is_missing(tmp_path: Path, cache: Path) -> None:
    out = tmp_path / "run"
    own = tmp_path / "own.npz"
    own.write_bytes(cache.read_bytes())
    common = ["-o", str(out), "--accelerator", "cpu", *list_settings(model=HARMONIST, patches=16, batch=2)]
    begun = CliRunner().invoke(
        main, ["train", "harmonist", *common, "--cache", str(own), "--steps", "2", "--seed", "7"]
    )
    assert begun.exit_code == 0, begun.output
    state = json.loads((out / "run.json").read_text())
    assert (state["version"], state["steps"], state["seed"]) == (checkpoint.find_version(), 2, 7)
    assert "holds a run already" in train("harmonist", out, own)
    assert "of the harmonist, not of the gan" in train("gan", out, own, "--resume", *list_settings(model=GAN))
    assert "do not fit the recipe" in train("harmonist", out, own, "--resume", "--set", 'model={"width":[3,5]}')
    own.unlink()
    gone = CliRunner().invoke(main, ["train", "harmonist", "-o", str(out), "--resume", "--accelerator", "cpu"])
    assert gone.exit_code == 2
    assert "the music that the run learns from is gone" in gone.output
    (out / "checkpoint" / "weights.safetensors").write_bytes(b"torn")
    assert "not a checkpoint of a training run" in train("harmonist", out, cache, "--resume")
    (out / "checkpoint" / "weights.safetensors").unlink()
    assert "no weights.safetensors" in train("harmonist", out, cache, "--resume")
    (out / "checkpoint" / "state.json").write_text("[]")
    assert "its state.json has no technique" in train("harmonist", out, cache, "--resume")
    (out / "checkpoint" / "state.json").unlink()
    assert "state.json)" in train("harmonist", out, cache, "--resume")


def test_too_large_a_batch_is_one_sentence(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise RuntimeError("[enforce fail at alloc_cpu.cpp:127] . DefaultCPUAllocator: can't allocate memory")

    monkeypatch.setattr("models.harmonist.objective.HarmonistObjective.update", refuse)
    common = ["-o", str(tmp_path / "run"), "--cache", str(cache), "--accelerator", "cpu"]
    result = CliRunner().invoke(main, ["train", "harmonist", *common, *list_settings(model=HARMONIST, patches=16)])
    assert result.exit_code == 1
    assert "choose a smaller batch with --set batch=N" in result.output

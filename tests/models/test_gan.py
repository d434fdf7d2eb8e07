"""The GAN: what its layers promise, what its losses see, and that training survives a kill."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from lightning_fabric import Fabric

from daemon.cli import main
from daemon.core.plan import PlanRequest
from daemon.core.settings import Settings
from daemon.players.gan import GanPlayer, _CanvasNoise, _NoteWriter
from daemon.players.graph import Graph, GraphError
from export import command as exporting
from export.check import worst_difference
from export.gan import GanGraph
from export.onnx_file import store, write
from models import checkpoint
from models import cli as training
from models.data import preparation, song_cache
from models.gan import dataset as streams
from models.gan import groove_bank
from models.gan import network as gan
from models.gan.objective import GanObjective, GanRecipe
from models.harmonist.network import HarmonistConfig
from models.key_equivariant import Block, KeyConv, KeyNorm, Width
from music.chords import QUALITIES
from music.encoding import gan_canvas
from music.encoding.gan_canvas import (
    CANVAS_STEPS,
    DRUM_PLANES,
    FIRST_NOW_STEP,
    FRESH_SHARE,
    FUTURE_STEPS,
    PITCHED_HEADS,
    PLAIN_HEADS,
)
from music.errors import UserError
from music.note import PITCH_CLASSES, Note
from music.signature import Signature

SMALL = gan.GanConfig(z=4, fine=(3, 6), coarse=(4, 8), blocks=1, critic=(2, 4), harmonist=HarmonistConfig(width=(2, 4)))


def song(name: str = "a", style: str = "pop", split: str = "train", bars: int = 20) -> song_cache.CachedSong:
    """A melody with bass and chords on every beat."""
    rows = []
    for beat in range(bars * 4):
        root = (0, 9, 5, 7)[beat // 4 % 4]
        rows += [(0, beat * 4, 72 + root % 5, 4, 90), (3, beat * 4, 36 + root, 4, 80)]
        rows += [(4, beat * 4, 60 + (root + up) % 12, 3, 70) for up in (0, 4, 7)]
        rows += [(6, beat * 4, 36, 1, 100)]
    chords = np.array([((0, 9, 5, 7)[b // 4 % 4], 0) for b in range(bars * 4)], np.int8)
    return song_cache.CachedSong(name, "bands", style, split, np.array(rows, np.int32), chords)


@pytest.mark.parametrize("layer", [KeyConv(Width(3, 5), Width(2, 4), 3), KeyNorm(Width(3, 5)), Block(Width(3, 5))])
def test_layers_commute_with_transposition(layer: torch.nn.Module) -> None:
    x = torch.randn(2, 3 * PITCH_CLASSES + 5, 7)

    def transposed(state: torch.Tensor, by: int) -> torch.Tensor:
        pitched = (state.shape[1] - (4 if isinstance(layer, KeyConv) else 5)) // PITCH_CLASSES * PITCH_CLASSES
        if state is x:
            pitched = 3 * PITCH_CLASSES
        turned = torch.roll(state[:, :pitched].reshape(2, -1, PITCH_CLASSES, 7), by, 2).reshape(2, pitched, 7)
        return torch.cat([turned, state[:, pitched:]], 1)

    with torch.no_grad():
        assert torch.allclose(layer(transposed(x, 5)), transposed(layer(x), 5), atol=1e-5)


def test_the_generator_is_causal_by_its_canvas() -> None:
    """What a stream shows holds nothing right of its line, whatever the song does there."""
    made = streams.Streams([song(style=s) for s in streams.GAN_STYLES], 8, seed=3, heard_all=0.0)
    batch = made.batch()
    for i, line in enumerate(batch.line):
        assert not batch.pitched[i, :, :, line:].any()
        assert not batch.plain[i, : gan_canvas.BAND_KNOWN + 1, line:].any()


def test_what_the_generator_plays_becomes_its_own_past() -> None:
    made = streams.Streams([song(style=s) for s in streams.GAN_STYLES], 8, seed=3, heard_all=0.0)
    for stream in made.streams:
        stream.own = True
    before = made.batch()
    ones = np.ones((8, streams.BAND_PLANES, PITCH_CLASSES, FUTURE_STEPS), np.uint8)
    made.commit(ones, np.ones((8, DRUM_PLANES, FUTURE_STEPS), np.uint8), 2)
    after = made.batch()
    for i, (old, new) in enumerate(zip(before.line, after.line, strict=True)):
        if new == old + 2:
            assert after.pitched[i, streams.BAND :, :, old:new].all()
            assert not after.pitched[i, streams.BAND :, :, new:].any()


def _scores(seed: int) -> gan.RollLogits:
    make = torch.Generator().manual_seed(seed)
    pitched = {
        k: torch.randn(1, n, PITCH_CLASSES, FUTURE_STEPS, generator=make) * 2 - 1 for k, n in PITCHED_HEADS.items()
    }
    plain = {k: torch.randn(1, n, FUTURE_STEPS, generator=make) for k, n in PLAIN_HEADS.items()}
    return gan.RollLogits(pitched, plain)


def _chords(seed: int) -> torch.Tensor:
    """One chord a beat, drawn at random: (1, qualities, 12, WRITTEN), one-hot."""
    make = torch.Generator().manual_seed(seed)
    chosen = torch.randint(len(QUALITIES) * PITCH_CLASSES, (gan.WRITTEN,), generator=make)
    hot = torch.nn.functional.one_hot(chosen, len(QUALITIES) * PITCH_CLASSES).T
    return hot.reshape(1, len(QUALITIES), PITCH_CLASSES, gan.WRITTEN).float()


@pytest.mark.parametrize("seed", range(12))
def test_training_and_the_daemon_play_the_same_notes_from_the_same_scores(seed: int) -> None:
    scores = _scores(seed)
    now, first = FIRST_NOW_STEP + 3 + seed, FIRST_NOW_STEP
    past_notes = {"bass": [Note(90 * 6, 40, 120)], "chords": [Note(95 * 6, 60, 60), Note(97 * 6, 64, 12)], "pad": []}
    request = PlanRequest(
        1, now, now * 6, (), {k: tuple(v) for k, v in past_notes.items()}, settings=Settings(temperature=0.0)
    )
    answer = {
        "chord_choice": _chords(seed).numpy(),
        "pitched_scores": torch.cat(list(scores.pitched.values()), 1).numpy(),
        "plain_scores": torch.cat(list(scores.plain.values()), 1).numpy(),
    }
    noise, still = _CanvasNoise(0, first, 0, 16, rhythm_scale=0.0), (np.zeros(4), np.zeros(3))
    notes, held = _NoteWriter(
        request, first, answer, noise, np.zeros(4, np.float32), still, np.zeros((PITCH_CLASSES, FUTURE_STEPS))
    ).write()

    seen = gan_canvas.build_canvas((), past_notes, now, heard_all=False)
    past = gan.SoftRoll(
        torch.as_tensor(seen.pitched[None, streams.BAND :, :, FIRST_NOW_STEP:]),
        torch.as_tensor(seen.plain[None, :DRUM_PLANES, FIRST_NOW_STEP:]),
    )
    none = torch.zeros(1, gan.RHYTHM_NOISES, FUTURE_STEPS)
    played = gan.play(scores, past, torch.tensor([now]), none, gan.tones(_chords(seed)))

    drawn = np.zeros((gan_canvas.PITCHED_PLANES, PITCH_CLASSES, FUTURE_STEPS), np.float32)
    for part in ("bass", "chords", "pad"):
        ended = {(n.start, n.pitch): n for n in held[part]}
        whole = [*notes[part], *(ended.get((n.start, n.pitch), n) for n in past_notes[part])]
        gan_canvas.draw_part(drawn, part, [(n.start // 6 - first, n.pitch, n.length // 6) for n in whole])
    assert np.array_equal(drawn[streams.BAND :], played.band[0].numpy())
    drums = np.zeros((DRUM_PLANES, FUTURE_STEPS))
    for n in notes["drums"]:
        drums[gan_canvas.DRUM_CLASS[n.pitch], n.start // 6 - first] = 1
    assert np.array_equal(drums[:, now - first :], played.drums[0, :, now - first :].numpy())


def test_gradients_reach_the_generator_through_the_binary_roll() -> None:
    scores = _scores(0)
    for tensor in (*scores.pitched.values(), *scores.plain.values()):
        tensor.requires_grad_(True)
    past = gan.SoftRoll(
        torch.zeros(1, streams.BAND_PLANES, PITCH_CLASSES, FUTURE_STEPS), torch.zeros(1, DRUM_PLANES, FUTURE_STEPS)
    )
    noise = torch.zeros(1, gan.RHYTHM_NOISES, FUTURE_STEPS)
    played = gan.play(scores, past, torch.tensor([FIRST_NOW_STEP + 4]), noise, gan.tones(_chords(0)))
    assert set(played.band.detach().unique().tolist()) <= {0.0, 1.0}
    (played.band.sum() + played.drums.sum()).backward()
    assert all(t.grad is not None and t.grad.abs().sum() > 0 for k, t in scores.pitched.items())


def test_a_turn_teaches_generator_and_critic() -> None:
    fabric = Fabric(accelerator="cpu", devices=1)
    songs = [song(style=s, split=p) for s in streams.GAN_STYLES for p in ("train", "valid")]
    recipe = GanRecipe(model=SMALL, batch=4, adversarial_from=0.0, learning_rate=0.01)
    objective = GanObjective(fabric, recipe, songs, 100, seed=1)
    before = {k: v.clone() for k, v in objective.tensors().items()}
    figures = [objective.turn(step) for step in range(3)]
    changed = {k.split(".")[0] for k, v in objective.tensors().items() if k in before and not torch.equal(before[k], v)}
    assert {"generator", "average", "encoder", "critic"} <= changed
    assert all(np.isfinite(v) for f in figures for v in f.values())
    assert {"critic", "penalty", "generator", "reconstruction"} <= set(figures[-1])
    assert set(objective.validate()) == {"valid_live_reconstruction", "valid_offline_reconstruction"}
    harmonist = {k: v for k, v in objective.tensors().items() if k.startswith("generator.harmonist.")}
    assert harmonist
    assert all(torch.equal(before[k], v) for k, v in harmonist.items())


@pytest.fixture(scope="module")
def tiny_graph(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("graphs") / "gan.onnx"
    habit = [4.0, 8.0, 2.0, 12.0, 0.2, 0.2, 0.2]
    settings = {"grooves": [[[0.0] * 4]] * 5, "habits": [[[habit]]] * 5, "velocity_std": [[0.1] * 4] * 5}
    write(GanGraph(gan.Generator(SMALL)), Signature("gan", {}, {}, streams.GAN_STYLES, settings), path)
    return path


def test_the_graph_computes_what_torch_computes(tiny_graph: Path) -> None:
    torch.manual_seed(0)
    assert worst_difference(GanGraph(gan.Generator(SMALL)), tiny_graph) < 1e-4


def _request(melody: tuple[Note, ...], now: int = 20, **settings: object) -> PlanRequest:
    return PlanRequest(7, now, now * 6 - 3, melody, {}, settings=Settings(**settings))  # type: ignore[arg-type]


def test_a_graph_can_be_gone_on_with(tiny_graph: Path, tmp_path: Path) -> None:
    torch.manual_seed(0)
    made, again = gan.Generator(SMALL), gan.Generator(SMALL)
    checkpoint.take(again, checkpoint.learnt(tiny_graph, "generator"))
    shown = GanGraph(made).example()
    for one, other in zip(made.eval()(*shown), again.eval()(*shown), strict=True):
        assert torch.allclose(one, other, atol=1e-4)
    assert torch.allclose(again.velocity_log_std, torch.tensor(0.1).log())
    (tmp_path / "broken.onnx").write_bytes(b"no graph")
    with pytest.raises(checkpoint.CheckpointError, match="no graph to begin with"):
        checkpoint.learnt(tmp_path / "broken.onnx", "generator")


def test_a_doubt_about_the_rhythm_is_settled_alike_in_all_bars_of_a_section() -> None:
    bars = [_CanvasNoise(3, 5 + 12 * bar, 5, 12).rhythm[:, :12] for bar in range(16)]
    alike = [[np.isclose(a, b).mean() for b in bars] for a in bars]
    fresh = (1 - FRESH_SHARE) ** 2
    assert all(abs(alike[0][bar] - fresh) < 0.12 for bar in range(1, 8))
    assert alike[0][8] < 0.05  # the next section
    assert abs(alike[8][15] - fresh) < 0.12
    assert np.array_equal(_CanvasNoise(3, 7, 5, 12).rhythm[:, :10], bars[0][:, 2:])  # whenever it was asked for
    assert not np.isclose(_CanvasNoise(4, 5, 5, 12).rhythm[:, :12], bars[0]).any()


def test_the_pair_of_grooves_that_moves_most_like_its_style_comes_first() -> None:
    mean = np.array([20.0, 0.6, 0.3, 0.9, 10.0])
    sparse, busy = (
        [10.0, 0.9, 0.0, 0.9, 10.0],
        [30.0, 0.5, 0.4, 0.9, 10.0],
    )  # together: 20 onsets, 0.6 of them on the beat
    figures = np.array([[5.0, 0.1, 0.9, 0.2, 1.0], sparse, busy, [np.nan] * 5])
    pairs = groove_bank.typical_pairs(figures, mean, often=1)
    assert pairs[0] == (1, 2)
    assert len({i for pair in pairs for i in pair}) == 4
    assert groove_bank.typical_pairs(np.array([mean]), mean) == [(0, 0)]


def test_what_a_groove_is_does_not_depend_on_which_bar_it_is_played_in() -> None:
    encoder = gan.Encoder(SMALL)
    rhythm = (torch.rand(1, streams.RHYTHM, CANVAS_STEPS) < 0.2).float()
    assert torch.allclose(encoder(rhythm), encoder(rhythm.roll(32, 2)), atol=1e-6)
    assert encoder(rhythm * 0).isfinite().all()


def test_the_player_answers_with_notes_right_of_the_line_and_repeats_itself(tiny_graph: Path) -> None:
    player = GanPlayer(Graph(tiny_graph, "gan"))
    melody = (Note(0, 60, 24), Note(24, 64, 24), Note(72, 67, 45))
    plan = player.plan(_request(melody, style="jazz", seed=5))
    player.plan(_request(melody[:1], now=9))
    again = player.plan(_request(melody, style="jazz", seed=5))
    assert (plan.notes, plan.held) == (again.notes, again.held)
    assert (plan.number, plan.first) == (7, 20)
    assert plan.last - plan.first >= player.info.future_steps
    starts = [n.start for line in plan.notes.values() for n in line]
    assert starts
    assert all(20 * 6 <= s < plan.last * 6 for s in starts)
    other = player.plan(_request(melody, style="jazz", seed=6))
    assert other.notes != plan.notes


def test_sections_take_a_seeds_grooves_in_turns(tiny_graph: Path) -> None:
    player = GanPlayer(Graph(tiny_graph, "gan"))
    player._grooves[0] = np.array([[[1.0] * 4, [2.0] * 4], [[3.0] * 4, [4.0] * 4]], np.float32)
    heard = [
        player._choose_groove(Settings("pop", seed=seed, temperature=0.0), 0, s)[0]
        for seed in (0, 1, 2)
        for s in (0, 1, 2)
    ]
    assert heard == [1, 2, 1, 3, 4, 3, 1, 2, 1]


def test_a_band_that_strays_from_its_groove_is_called_back(tiny_graph: Path) -> None:
    player, now = GanPlayer(Graph(tiny_graph, "gan")), 256
    melody = tuple(Note(i * 24, 60, 24) for i in range(64))
    drums = tuple(Note(i * 12, 36, 6) for i in range(now // 2))  # eight a bar

    def drummed(a_bar: float) -> int:
        player._habits[0][..., 3] = a_bar
        return len(player.plan(replace(_request(melody, now), committed={"drums": drums})).notes["drums"])

    assert drummed(2) < drummed(8) < drummed(32)


def test_density_plays_more_and_fewer(tiny_graph: Path) -> None:
    player = GanPlayer(Graph(tiny_graph, "gan"))
    counts = [
        sum(len(line) for line in player.plan(_request((Note(0, 60, 100),), density=d)).notes.values())
        for d in (0, 1, 2)
    ]
    assert counts[0] < counts[1] < counts[2]


def test_a_style_the_graph_does_not_know_is_refused(tiny_graph: Path) -> None:
    with pytest.raises(UserError, match="no style 'polka'"):
        GanPlayer(Graph(tiny_graph, "gan")).plan(_request((), style="polka"))


def test_graphs_that_do_not_fit_are_refused_in_one_sentence(tiny_graph: Path, tmp_path: Path) -> None:
    import onnx

    broken = tmp_path / "broken.onnx"
    broken.write_bytes(tiny_graph.read_bytes()[:2000])
    bare = onnx.load(tiny_graph)
    del bare.metadata_props[:]
    onnx.save(bare, tmp_path / "bare.onnx")
    store(onnx.load(tiny_graph), Signature("arcnn", {}, {}, ()), tmp_path / "other.onnx")
    cases = {
        "missing": "no such file",
        "broken": "not a graph",
        "bare": "no signature inside",
        "other": "not for the gan",
    }
    for name, words in cases.items():
        with pytest.raises(GraphError, match=words) as error:
            Graph(tmp_path / f"{name}.onnx", "gan")
        assert "\n" not in str(error.value)


def test_cache_round_trip(tmp_path: Path) -> None:
    songs = [song("a"), song("b", style="jazz", split="valid", bars=6)]
    song_cache.save(tmp_path / "c.npz", songs)
    for made, found in zip(songs, song_cache.load(tmp_path / "c.npz"), strict=True):
        assert (made.name, made.style, made.split) == (found.name, found.style, found.split)
        assert np.array_equal(made.notes, found.notes)
        assert np.array_equal(made.chords, found.chords)
    with pytest.raises(song_cache.DataError, match="not a cache"):
        song_cache.load(tmp_path / "none.npz")


def test_a_killed_run_goes_on_and_is_exported(tmp_path: Path) -> None:
    cache = tmp_path / "c.npz"
    song_cache.save(cache, [song(style=s, split=p) for s in streams.GAN_STYLES for p in ("train", "valid")])
    run = tmp_path / "run"
    model = '{"z":4,"fine":[3,6],"coarse":[4,8],"blocks":1,"critic":[2,4],"harmonist":{"width":[2,4]}}'
    small = ["--set", f"model={model}", "--set", "batch=2"]
    options = [
        "gan",
        "--cache",
        str(cache),
        "-o",
        str(run),
        "--steps",
        "4",
        "--every",
        "2",
        "--accelerator",
        "cpu",
        *small,
    ]
    first = CliRunner().invoke(training.command, options)
    assert first.exit_code == 0, first.output
    tensors, state = checkpoint.load(run / "checkpoint")
    state["step"] = 2  # as if it had been killed there
    checkpoint.save(run / "checkpoint", tensors, state)
    again = CliRunner().invoke(main, ["train", *options])
    assert again.exit_code == 2
    assert "--resume" in again.output
    resumed = CliRunner().invoke(training.command, [*options, "--resume"])
    assert resumed.exit_code == 0, resumed.output
    rows = (run / "losses.csv").read_text().splitlines()
    assert [r.split(",")[0] for r in rows] == ["step", "2", "4"]
    assert (run / "losses.png").stat().st_size > 1000
    made = CliRunner().invoke(exporting.command, [str(run), "-o", str(tmp_path / "g.onnx")])
    assert made.exit_code == 0, made.output
    graph = Graph(tmp_path / "g.onnx", "gan")
    assert graph.signature.provenance["step"] == 4
    assert {"commit", "command", "data_hash", "recipe"} <= set(graph.signature.provenance)
    copied = CliRunner().invoke(exporting.command, [str(tmp_path / "g.onnx"), "-o", str(tmp_path / "copy.onnx")])
    assert copied.exit_code == 0, copied.output
    copy = Graph(tmp_path / "copy.onnx", "gan")
    assert copy.signature.settings == graph.signature.settings
    assert copy.signature.provenance == graph.signature.provenance
    shown = {
        name: value.numpy()
        for name, value in zip(GanGraph.inputs, GanGraph(gan.Generator(SMALL)).example(), strict=True)
    }
    for name, answer in graph.run(shown).items():
        assert np.array_equal(answer, copy.run(shown)[name])


def test_what_is_no_graph_of_ours_is_not_exported_again(tiny_graph: Path, tmp_path: Path) -> None:
    import onnx

    (tmp_path / "broken.onnx").write_bytes(b"no graph")
    store(onnx.load(tiny_graph), Signature("arcnn", {}, {}, ()), tmp_path / "other.onnx")
    strange = Signature("gan", {}, {}, streams.GAN_STYLES, {}, {"recipe": {"model": {"fine": [5, 10]}}})
    store(onnx.load(tiny_graph), strange, tmp_path / "strange.onnx")
    for name, words in {"broken": "no graph to export again", "other": "no harmonist", "strange": "lacks"}.items():
        told = CliRunner().invoke(main, ["export", str(tmp_path / f"{name}.onnx"), "-o", str(tmp_path / "x.onnx")])
        assert told.exit_code == 2
        assert words in told.output
        assert not (tmp_path / "x.onnx").exists()


def test_a_folder_without_music_is_one_sentence(tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["train", "gan", "--data", str(tmp_path), "-o", str(tmp_path / "r")])
    assert result.exit_code == 2
    assert "no MIDI file" in result.output


def test_a_users_own_folder_is_read(tmp_path: Path) -> None:
    from music import midifile

    folder = tmp_path / "mine"
    folder.mkdir()
    parts = {
        "Lead vocal": [Note(i * 24, 60 + i % 5, 24) for i in range(64)],
        "Bass": [Note(i * 24, 40, 24) for i in range(64)],
    }
    midifile.write(folder / "one.mid", parts)
    (folder / "two.mid").write_bytes(b"not music")
    counts = preparation.prepare(folder, tmp_path / "c.npz", jobs=1)
    assert (counts["songs"], counts["skipped"]) == (1, 1)
    roles = streams.role_rows(song_cache.load(tmp_path / "c.npz")[0])
    assert {role for role, rows in roles.items() if len(rows)} == {"melody", "bass"}

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from music.errors import UserError
from music.note import STEPS_PER_BAR, Note
from tests.programs.judges import belonging, critic, critic_songs, pieces, report, styles
from tests.programs.judges.__main__ import main
from tests.programs.judges.bench import FOLLOWER, LIVE, OWN, Tried
from tests.programs.judges.critic_songs import BAND, MADE, PEOPLE, CriticSong
from tests.programs.judges.pieces import JUDGED_STYLES, Piece, draw_planes, make_piece

SCALE = (0, 2, 4, 5, 7, 9, 11)


def tune(song: int, bars: int = 16, style: str = "piano") -> Piece:
    """A melody of quarters; under each bar the third below its first note, on all beats."""
    rng = np.random.default_rng(song)
    degrees = rng.integers(7, size=4 * bars)
    melody = [(4 * beat, 60 + SCALE[degree] + song % 12, 4) for beat, degree in enumerate(degrees)]
    under = [(4 * beat, 45 + SCALE[degrees[beat // 4 * 4] - 2] + song % 12, 4) for beat in range(4 * bars)]
    return make_piece(str(song), style, np.array(melody, np.int32), np.array(under, np.int32))


def styled(song: int, style: str) -> Piece:
    """Each style begins its notes at a place of its own in the beat, or holds them for longer."""
    at, length = {"pop": (0, 1), "rock": (1, 1), "jazz": (2, 1), "ballad": (0, 4), "piano": (3, 1)}[style]
    original = tune(song, style=style)
    rows = np.array([(4 * beat + at, 45 + (song + beat) % 12, length) for beat in range(64)], np.int32)
    return replace(original, parts=rows)


def share(judge: belonging.BelongingJudge, own: list[belonging.Window], same_key: bool) -> float:
    return belonging.average_songs(own, belonging.measure_first_of_32(judge, own, own, same_key)).value


def test_the_contrastive_judge_learns_what_belongs_together_and_not_the_key_alone() -> None:
    recipe = belonging.BelongingRecipe(steps=60, batch=32, pitched=4, plain=4, blocks=1)
    *_, (judge, loss) = belonging.train([tune(song) for song in range(64)], recipe)
    assert loss < 1.5
    unheard = [window for song in range(100, 112) for window in belonging.find_windows(tune(song))]
    wrong = [replace(w, piece=replace(w.piece, parts=tune(int(w.piece.song) + 50).parts)) for w in unheard]
    assert share(judge, unheard, same_key=False) > 0.7
    assert share(judge, unheard, same_key=True) > 0.5
    assert share(judge, wrong, same_key=True) < 0.2


def test_whoever_plays_the_same_everywhere_is_never_first() -> None:
    judge = belonging.BelongingJudge(belonging.BelongingRecipe())
    silent = [replace(tune(song), parts=np.zeros((0, 3), np.int32)) for song in range(12)]
    own = [window for one in silent for window in belonging.find_windows(one)]
    assert share(judge, own, same_key=False) == 0


def test_the_judge_hears_all_keys_alike() -> None:
    judge = belonging.BelongingJudge(belonging.BelongingRecipe())
    low = replace(tune(0), key=0)
    up = np.array([0, 2, 0], np.int32)
    high = replace(low, melody=low.melody + up, parts=low.parts + up, key=2)
    # a register begins at E3: nothing here may cross it
    low, high = (replace(p, parts=p.parts - np.array([0, 24, 0], np.int32)) for p in (low, high))
    for hear in (judge.hear_melodies, judge.hear_parts):
        one, other = (hear([belonging.Window(p, 0)], True).detach().numpy() for p in (low, high))
        assert one == pytest.approx(other, abs=1e-5)


def test_too_few_windows_of_other_songs_are_no_figure() -> None:
    judge = belonging.BelongingJudge(belonging.BelongingRecipe())
    own = [window for song in range(2) for window in belonging.find_windows(tune(song))]
    assert np.isnan(belonging.measure_first_of_32(judge, own, own, False)).all()


def test_the_chance_to_be_first_is_that_of_drawing_no_better_part(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(belonging, "CANDIDATES", 3)
    judge = belonging.BelongingJudge(belonging.BelongingRecipe())
    own = [belonging.Window(tune(song), 0) for song in range(5)]
    closeness = (judge.hear_melodies(own, False) @ judge.hear_parts(own, False).T).detach().numpy()
    better = [sum(closeness[i, j] >= closeness[i, i] for j in range(5) if j != i) for i in range(5)]
    expected = [(4 - k) / 4 * (3 - k) / 3 if k < 3 else 0 for k in better]
    assert belonging.measure_first_of_32(judge, own, own, False).tolist() == pytest.approx(expected)


def test_the_classifier_learns_styles_and_the_follower_is_at_chance() -> None:
    learnt = [styled(song, style) for song in range(5) for style in JUDGED_STYLES]
    *_, (judge, _) = styles.train(learnt, styles.StyleRecipe(steps=80, batch=50, plain=8))
    band = {(LIVE, style): styled(9, style) for style in JUDGED_STYLES}
    found = report.report_styles(judge, [Tried({OWN: tune(9), FOLLOWER: tune(9)}, band)])
    assert found["heard"]["the band, live"]["accuracy"] > 0.9
    assert found["heard"][FOLLOWER]["accuracy"] == pytest.approx(0.2)
    assert sum(map(sum, found["heard"]["the band, live"]["bars"])) == 5 * 16


def test_planes_have_onsets_and_sustains_by_register() -> None:
    rows = np.array([(-2, 48, 4), (3, 61, 2), (3, 73, 1)], np.int32)
    found = draw_planes([rows, rows[:0]], STEPS_PER_BAR, (60,))
    assert found.shape == (2, 4, 12, STEPS_PER_BAR)
    assert not found[1].any()
    places = {tuple(place) for place in np.argwhere(found[0]).tolist()}
    assert places == {(1, 1, 3), (2, 0, 0), (2, 0, 1), (3, 1, 3), (3, 1, 4)}


def test_parts_of_the_band_are_heard_without_drums() -> None:
    played = pieces.replace_parts(tune(0), {"drums": [Note(0, 36, 6)], "bass": [Note(96, 40, 24)]})
    assert played.parts.tolist() == [[16, 40, 4]]


@pytest.mark.parametrize("judge", ["belonging", "styles"])
def test_without_music_to_learn_from_it_says_so(judge: str, tmp_path: Path) -> None:
    run = CliRunner().invoke(main, [judge, "--data", str(tmp_path / "none"), "--runs", str(tmp_path), "--nobody"])
    assert run.exit_code == 2
    assert "no pop909 and no bands to train the judge on" in run.output


def accompany(song: int, *others: str) -> CriticSong:
    """A melody of quarters over chords on every beat; MMA plays offbeat fifths, the band what people might."""
    rng = np.random.default_rng(song)
    key, bars = song % 12, 20
    melody = np.array([(4 * beat, 60 + SCALE[rng.integers(7)] + key, 4) for beat in range(4 * bars)], np.int32)

    def play(at: int, up: tuple[int, ...]) -> pieces.Ints:
        roots = [int(rng.integers(4)) for _ in range(4 * bars)]
        rows = [(4 * b + at, 45 + SCALE[root] + key + add, 3) for b, root in enumerate(roots) for add in up]
        return np.array(rows, np.int32)

    parts = {PEOPLE: play(0, (0, 7, 16)), BAND: play(0, (0, 7, 16)), MADE: play(1, (0, 7))}
    return CriticSong(str(song), melody, 0, bars, {who: parts[who] for who in (PEOPLE, *others)})


RECIPE = critic.CriticRecipe(steps=40, pairs=16, width=(4, 8), critics=1)


@pytest.mark.parametrize(("who", "least", "most"), [(MADE, 0.9, 1.0), (BAND, 0.35, 0.65)])
def test_the_critic_tells_what_differs_and_nothing_else(who: str, least: float, most: float) -> None:
    learnt, asked = (
        critic_songs.cut_pairs([accompany(i, who) for i in some], who) for some in (range(24), range(30, 42))
    )
    told = critic.count_told(asked, critic.score_pairs([critic.train(learnt, RECIPE, 1)], asked))
    assert least <= told.accuracy.value <= most
    assert (told.accuracy.songs, told.windows) == (12, 12 * 7)
    scores, weights = critic.regress_densities(learnt, asked)
    assert least <= critic.count_told(asked, scores).accuracy.value <= most
    if who == MADE:
        assert weights[0][0] in ("onsets on the beat", "notes struck at once", "onsets a bar", "notes that sound")


def test_both_sides_are_asked_about_the_same_bars() -> None:
    song = accompany(0, BAND)
    silent = song.parts[BAND][song.parts[BAND][:, 0] >= 10 * STEPS_PER_BAR]  # the band comes in in bar 11
    pairs = critic_songs.cut_pairs([replace(song, parts={**song.parts, BAND: silent})], BAND)
    assert len(pairs) == 5  # from bar 9 on, where it plays in the second half
    assert all(len(pair.people) and len(pair.other) for pair in pairs)
    assert critic_songs.cut_pairs([replace(song, bars=7)], BAND) == []
    assert critic_songs.cut_pairs([song], MADE) == []
    assert critic.draw(pairs).shape == (10, 2 + 2 * (len(critic.SPLITS) + 1), 12, critic_songs.STEPS)


def test_a_critic_that_hears_less_hears_neither_octaves_nor_lengths() -> None:
    low = np.array([[-2, 48, 4], [0, 40, 8], [0, 52, 2], [4, 55, 1]], np.int32)
    high = np.array([[0, 76, 1], [4, 67, 60]], np.int32)
    [pair] = critic.hear([critic_songs.Pair("", low, low, high)], critic.HARMONY)
    assert pair.people.tolist() == pair.other.tolist() == [[0, 64, 1], [4, 67, 1]]
    [pair] = critic.hear([pair], critic.RHYTHM)
    assert pair.people.tolist() == [[0, 60, 1], [4, 60, 1]]
    assert pair.melody is low


def test_the_critic_hears_all_keys_alike() -> None:
    pairs = critic_songs.cut_pairs([accompany(0, BAND)], BAND)
    made = critic.WindowCritic(RECIPE).eval()
    planes = torch.from_numpy(critic.draw(pairs))
    with torch.no_grad():
        torch.testing.assert_close(made(planes), made(planes.roll(5, 2)), atol=1e-5, rtol=1e-4)


def test_the_report_of_the_critic_has_everybody_who_played(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(critic, "CriticRecipe", lambda: RECIPE)
    told = report.report_critic([accompany(i, BAND, MADE) for i in range(4)], [accompany(9, BAND)])
    assert list(told["people_against"]) == [BAND]
    [table] = report.make_critic_tables(told)
    assert table.row_count == 1
    with pytest.raises(UserError, match="take more with --songs"):
        report.report_critic([accompany(0)], [accompany(1)])

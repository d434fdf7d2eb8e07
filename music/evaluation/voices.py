"""Figures of how an accompaniment's voices lie and move: clusters, steps of the top voice, leaps."""

from __future__ import annotations

import numpy as np

from music.evaluation.means import compute_mean, compute_share
from music.evaluation.passage import MelodyPassage, PlayedNotes, draw_begun, draw_onsets

#: two pitches so many semitones apart are a cluster: a semitone, a minor ninth
CLUSTER_SEMITONES = (1, 13)
#: notes of a chord are those from this pitch on (E3), if at least two begin together
LOWEST_CHORD_PITCH, FEWEST_NOTES = 52, 2
#: the top voice leaps where it moves by more than an octave
OCTAVE_SEMITONES = 12


def measure_voices(where: MelodyPassage, ours: PlayedNotes) -> dict[str, float]:
    """Return cluster, voice_step and leaps.

    cluster: of the beats that sound, the share with two pitches a semitone or a minor ninth apart on one step.
    voice_step: how many semitones the top note of the chords moves on average from one chord to the next; chords are
    two or more notes from E3 up that begin on one step. leaps: the share of those moves above an octave.
    """
    sounding = draw_begun(where, ours)
    close = np.zeros(where.steps, np.bool_)
    for apart in CLUSTER_SEMITONES:
        close |= (sounding[:, :-apart] & sounding[:, apart:]).any(axis=1)
    beats = [slice(begin, end) for begin, end in where.list_beats()]
    clusters = [bool(close[beat].any()) for beat in beats if sounding[beat].any()]
    upper = draw_onsets(where, ours)[:, LOWEST_CHORD_PITCH:]
    chords = upper[upper.sum(axis=1) >= FEWEST_NOTES]
    tops = upper.shape[1] - 1 - chords[:, ::-1].argmax(axis=1)
    moves = np.abs(np.diff(tops))
    return {
        "cluster": compute_share(np.array(clusters, np.bool_)),
        "voice_step": compute_mean(moves.astype(np.float64)),
        "leaps": compute_share(moves > OCTAVE_SEMITONES),
    }

"""Roll-outs: what a transformer plays to a melody on nothing but its own past, many songs at once.

As on stage every step hears what was played before it, and every token is drawn; but the chords are the song's own, and
what it has played is not arranged.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.transformer.dataset import MAX_TOKENS, BandScore, select_near
from models.transformer.network import TRANSFORMER_STYLES, WINDOWS_STEPS, HandDecoder, Layer, NoteWriter, Transformer
from music.encoding import step_features, step_tokens
from music.note import PITCHED_ROLES, ROLES

Ints = NDArray[np.int64]
Row = tuple[int, int, int]  #: start step, pitch, length in steps

_COMPASS = {role: step_features.get_compass(role) for role in PITCHED_ROLES}


class RollOut(NamedTuple):
    """Music of B bands over T steps: their steps' features, and the tokens written at each."""

    features: NDArray[np.float32]  #: (B, T, FEATURE_COUNT + PULSE_FEATURES): of the step before each
    style: NDArray[np.float32]  #: (B, styles), one-hot
    line: Ints  #: (B, T, MAX_TOKENS): tokens written
    length: Ints  #: (B, T): how many
    bands: list[dict[str, list[Row]]]  #: notes by role, of each


class HandStream:
    """Runs a hand step by step, keeping of each layer the keys and values that are still heard."""

    def __init__(self, hand: HandDecoder, style: Tensor) -> None:
        """style: (B, styles), one-hot."""
        self._hand, self._style, self._step = hand, style, 0
        self._kept: list[tuple[Tensor, Tensor] | None] = [None] * len(WINDOWS_STEPS)

    def hear(self, features: Tensor) -> Tensor:
        """Return the state (B, hand) after one more step; features: (B, FEATURE_COUNT + PULSE_FEATURES)."""
        state = self._hand.embed(features[:, None], self._style)
        position = torch.tensor([self._step], device=state.device)
        for i, (layer, window) in enumerate(zip(self._hand.layers, WINDOWS_STEPS, strict=True)):
            assert isinstance(layer, Layer)
            query, key, value = layer.project(state, position)
            before = self._kept[i]
            if before is not None:
                key, value = (torch.cat(pair, 1)[:, -window:] for pair in zip(before, (key, value), strict=True))
            self._kept[i] = key, value
            heard = torch.ones(1, key.shape[1], dtype=torch.bool, device=state.device)
            state = layer.finish(state, query, key, value, heard)
        self._step += 1
        heard_state: Tensor = self._hand.norm(state)[:, 0]
        return heard_state


def write_step(writer: NoteWriter, state: Tensor, roots: list[int], random: torch.Generator) -> list[list[int]]:
    """Draw the tokens of one step of each band, by the grammar. state: (B, hand); roots: of its chord, of each."""
    grammars = [step_tokens.Grammar(ROLES, _COMPASS, root) for root in roots]
    rows = torch.arange(len(roots), device=state.device)
    memory, condition = writer.start(state)
    before = torch.full((len(roots),), step_tokens.WRITER_TOKENS, device=state.device)
    most = MAX_TOKENS - 1  # one that is not over then is ended by one more
    for place in range(most):
        memory = writer.step(memory, writer.hear(writer.token(before)) + condition)
        allowed = np.stack([grammars[i].find_allowed() for i in rows.tolist()])
        scores = writer.score(memory).float().masked_fill(~torch.as_tensor(allowed, device=state.device), -torch.inf)
        noise = torch.empty_like(scores).exponential_(generator=random)
        before = (scores.softmax(1) / noise).argmax(1)
        for i, token in zip(rows.tolist(), before.tolist(), strict=True):
            grammars[i].append(token)
        going = torch.tensor([not grammars[i].over for i in rows.tolist()], device=state.device)
        if place == most - 1 or not going.any():
            break
        rows, memory, condition, before = rows[going], memory[going], condition[going], before[going]
    return [grammar.tokens if grammar.over else grammar.finish() for grammar in grammars]


@dataclass(slots=True)
class _Band:
    """One band that plays: what it is told, and its notes so far, steps counted from the roll-out's first."""

    melody: Ints  #: rows of start, pitch, length
    chords: list[tuple[int, int]]  #: root and quality of every step
    score: BandScore
    begin: int  #: the step of the song at which the roll-out begins
    notes: dict[str, list[Row]] = field(default_factory=lambda: {role: [] for role in ROLES})
    #: role -> pitch -> the place in `notes` of its newest note
    _newest: dict[str, dict[int, int]] = field(default_factory=lambda: {role: {} for role in ROLES})
    #: notes that are to go on where they end, by role and pitch
    _tied: set[tuple[str, int]] = field(default_factory=set)

    def hear(self, step: int) -> NDArray[np.float32]:
        """Return the features of a step."""
        near = {role: [self.notes[role][place] for place in places.values()] for role, places in self._newest.items()}
        coming, metre = self.begin + step + 1, self.score.metre
        row = step_features.build_step(
            step_features.hear_step(self.melody, step),
            near,
            step,
            self.chords[step : step + 2],
            int(step_features.find_places(coming, metre)),
            begun=step > 0,
        )[0]
        return np.concatenate([row, step_features.mark_pulses(np.array([coming]), metre)[0]])

    def begin_notes(self, step: int, tokens: list[int]) -> None:
        """Take in what is written for a step; a sounding note of the same pitch ends there, or goes on if it is tied.

        So does a sounding note of the bass, which has one voice.
        """
        for onsets in step_tokens.decode_step(tokens, self.chords[step][0]):
            for length, pitch in onsets.notes:
                self._begin_note(onsets.role, step, pitch, length)

    def _begin_note(self, role: str, step: int, pitch: int, length: int) -> None:
        rows, newest = self.notes[role], self._newest[role]
        steps = min(length, step_tokens.MAX_LENGTH_STEPS)
        is_tied = (role, pitch) in self._tied
        self._tied.discard((role, pitch))
        if length > step_tokens.MAX_LENGTH_STEPS:
            self._tied.add((role, pitch))
        for other in list(newest) if role == "bass" else [pitch]:
            place = newest.get(other)
            if place is None or role == "drums":
                continue
            start, _, before = rows[place]
            if other == pitch and is_tied and start + before == step:
                rows[place] = start, pitch, before + steps
                return
            if start + before > step:
                rows[place] = start, other, step - start
        newest[pitch] = len(rows)
        rows.append((step, pitch, steps))


@torch.no_grad()
def roll_out(model: Transformer, scores: list[tuple[BandScore, int]], steps: int, random: torch.Generator) -> RollOut:
    """Let bands play `steps` steps to the melodies of songs, each from a step on. random: draws the tokens."""
    bands = [_make_band(score, begin, steps) for score, begin in scores]
    device = next(model.parameters()).device
    style = np.eye(len(TRANSFORMER_STYLES), dtype=np.float32)[[score.style for score, _ in scores]]
    stream = HandStream(model.hand, torch.as_tensor(style, device=device))
    features, lines = [], np.zeros((len(bands), steps, MAX_TOKENS), np.int64)
    lengths = np.zeros((len(bands), steps), np.int64)
    for step in range(steps):
        features.append(np.stack([band.hear(step) for band in bands]))
        state = stream.hear(torch.as_tensor(features[-1], device=device))
        written = write_step(model.writer, state, [band.chords[step + 1][0] for band in bands], random)
        for i, (band, tokens) in enumerate(zip(bands, written, strict=True)):
            lines[i, step, : len(tokens)], lengths[i, step] = tokens, len(tokens)
            band.begin_notes(step + 1, tokens)
    return RollOut(np.stack(features, 1), style, lines, lengths, [band.notes for band in bands])


def _make_band(score: BandScore, begin: int, steps: int) -> _Band:
    melody = select_near(score.roles["melody"], begin, steps + 1)[:, :3] - np.array([begin, 0, 0])
    told = score.chords[:, begin : begin + steps + 2].T.tolist()
    told += [(-1, -1)] * (steps + 2 - len(told))
    return _Band(melody, [(int(root), int(quality)) for root, quality in told], score, begin)

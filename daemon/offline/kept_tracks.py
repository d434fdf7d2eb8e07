"""The rest of a file that is rendered: what of it is neither melody nor hand, and stays."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from itertools import chain
from typing import TYPE_CHECKING

from music import midi, midifile, smf
from music.note import CHANNELS, PITCHED_ROLES, TICKS_PER_BEAT
from music.track_names import PARTS, fold_name

if TYPE_CHECKING:
    import mido

#: a track's name and its messages, timed in 480ths of a beat
NamedTrack = tuple[str, "list[mido.Message]"]

#: meta messages of a song as a whole
_SONG_METAS = (smf.COPYRIGHT, smf.LYRIC, smf.MARKER, smf.CUE_POINT, smf.KEY_SIGNATURE)
#: names of tracks that a rendering makes anew: the accompaniment in whose place the band plays, and its chords
_REPLACED = {*PARTS, midifile.HARMONY}
#: channels (0..15) whose instruments the band chooses; the drums' can only be shared
_TAKEN_CHANNELS = frozenset(CHANNELS[role] for role in PITCHED_ROLES)
_FREE_CHANNELS = tuple(set(range(midi.CHANNEL_COUNT)) - {*CHANNELS.values()})


def list_song_metas(song: midifile.Song, copied: Collection[int] = ()) -> list[mido.Message]:
    """Return copyright, lyrics, markers, cue points and key signatures of a song's first track, in 480ths of a beat.

    They are those of the whole song. copied: the tracks, by index, that are copied whole: the first may be one of them.
    """
    if song.source is None or not song.source.tracks or 0 in copied:
        return []
    return midifile.copy_track(song, 0, metas=_SONG_METAS)


def copy_other_tracks(song: midifile.Song, copied: Collection[int]) -> list[NamedTrack]:
    """Return the tracks of a song that stay beside the melody and the band.

    These are all but those that are copied already (by index), the first where it has no notes, and those that are
    called like an accompaniment: `bass`, `chords`, `pad`, `drums`, `piano`, ..., for the band plays in their place. One
    on a channel of the band's is moved to a free one, so that each keeps its own instrument.
    """
    if song.source is None:
        return []
    names = {part.index: part.name for part in song.parts if part.notes}
    kept: list[NamedTrack] = []
    for index, track in enumerate(song.source.tracks):
        name = names.get(index, "" if index == 0 else midifile.read_track_name(track))
        if index in copied or fold_name(name) in _REPLACED or (index == 0 and index not in names):
            continue
        if messages := midifile.copy_track(song, index):
            kept.append((name, messages))
    _move_channels(chain.from_iterable(messages for _, messages in kept), {part.channel for part in song.parts})
    return kept


def replace_programs(messages: list[mido.Message], changes: Sequence[tuple[int, bytes]]) -> list[mido.Message]:
    """Return a copied track with other program changes than its own, on its channels: (tick, message), by tick.

    Without any the track is as it was.
    """
    if not changes:
        return messages
    import mido

    timed, at = [], 0
    channels: dict[int, None] = {}
    for message in messages:
        at += message.time
        if message.is_meta or not hasattr(message, "channel"):
            timed.append((at, 1, message))
            continue
        channels.setdefault(message.channel)
        if not midi.chooses_program(message.bytes()):
            timed.append((at, 1, message))
    for tick, data in changes:
        for channel in channels:
            change = mido.Message.from_bytes(midi.with_channel(data, channel))
            timed.append((tick * (midifile.FILE_TICKS // TICKS_PER_BEAT), 0, change))
    timed.sort(key=lambda each: each[:2])
    before = [0, *(at for at, _, _ in timed)]
    return [message.copy(time=at - earlier) for (at, _, message), earlier in zip(timed, before, strict=False)]


def _move_channels(messages: Iterable[mido.Message], busy: Collection[int]) -> None:
    """Move messages on channels of the band's to free ones, as far as there are any; busy: channels that are not."""
    sounding = [message for message in messages if not message.is_meta and hasattr(message, "channel")]
    used = {message.channel for message in sounding}
    free = iter([channel for channel in _FREE_CHANNELS if channel not in used and channel not in busy])
    moved = {channel: next(free, channel) for channel in sorted(used & _TAKEN_CHANNELS)}
    for message in sounding:
        message.channel = moved.get(message.channel, message.channel)

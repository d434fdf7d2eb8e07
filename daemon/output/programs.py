"""Program changes: which instrument each role plays, as MIDI messages."""

from __future__ import annotations

from collections.abc import Iterable

from daemon.core.settings import SOUNDING_ROLES, Settings
from music import midi
from music.note import CHANNELS, HAND, HAND_SOUND_CHANNEL

#: role -> the MIDI channel (0..15) on which it sounds
SOUND_CHANNELS = {**CHANNELS, HAND: HAND_SOUND_CHANNEL}


def list_program_changes(
    settings: Settings, roles: Iterable[str] = SOUNDING_ROLES, *, with_bank: bool = False
) -> list[bytes]:
    """Return the messages that choose the instruments of roles: none where the settings choose none.

    with_bank: name the bank, too, where it is the first, because another one was chosen before.
    """
    messages: list[bytes] = []
    for role in roles:
        program, bank = settings.programs.get(role, 0), settings.banks.get(role, 0)
        if not program:
            continue
        channel = SOUND_CHANNELS[role]
        if bank or with_bank:
            high, low = divmod(bank, 128)
            messages.append(midi.control_change(channel, midi.BANK_HIGH, high))
            messages.append(midi.control_change(channel, midi.BANK_LOW, low))
        messages.append(midi.program_change(channel, program - 1))
    return messages

"""JACK's frames and the machine's monotonic clock: which frame is played when."""

from __future__ import annotations

from daemon.core.tempo import NS_PER_MS, NS_PER_S

#: a callback this far from where the last ones lead means that the server counts anew
MAX_DRIFT_NS = 20 * NS_PER_MS
#: share (1 / n) of a callback's lateness by which the clock is corrected: callbacks are late, but hardly ever drift
_SMOOTHING = 512


class FrameClock:
    """Translates between frames and ns, from the times at which process callbacks came.

    No callback comes before its period begins, so the earliest ones say how the two lie.
    """

    def __init__(self, rate: int) -> None:
        self.rate = rate
        self._frame = 0
        self._ns: int | None = None

    def observe(self, frame: int, ns: int) -> None:
        """Take note that the callback of the period that begins with `frame` came at `ns`."""
        frame = self.extend(frame)
        off = 0 if self._ns is None else ns - self.ns_at(frame)
        if self._ns is None or abs(off) > MAX_DRIFT_NS:
            self._frame, self._ns = frame, ns
        else:
            ns = self.ns_at(frame) + (off if off < 0 else off // _SMOOTHING)
            self._frame, self._ns = frame, ns

    def ns_at(self, frame: int) -> int:
        """Return the time (ns) of a frame."""
        return (self._ns or 0) + (frame - self._frame) * NS_PER_S // self.rate

    def frame_at(self, ns: int) -> int:
        """Return the frame of a time (ns)."""
        return self._frame + (ns - (self._ns or 0)) * self.rate // NS_PER_S

    def extend(self, frame: int) -> int:
        """Return a frame number that goes on where JACK's, of 32 bits, begins again at 0."""
        return frame + round((self._frame - frame) / (1 << 32)) * (1 << 32)

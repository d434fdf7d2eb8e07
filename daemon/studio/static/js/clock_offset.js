/** The offset between the server's monotonic clock and the page's, from round trips: the one of the quickest counts. */

const KEPT = 20;

export class ClockOffset {
  constructor() {
    /** @type {{trip: number, offset: number}[]} the last round trips: how long they took, and the offset, in ms */
    this.trips = [];
    this.offsetMs = 0;
    this.tripMs = NaN;
  }

  /**
   * Take the answer to a question about the time.
   * @param {number} sentMs when it was asked, on performance.now()'s scale
   * @param {number} ns the server's monotonic time
   * @param {number} receivedMs when the answer came
   */
  take(sentMs, ns, receivedMs) {
    const trip = receivedMs - sentMs;
    this.trips.push({ trip, offset: (sentMs + receivedMs) / 2 - ns / 1e6 });
    if (this.trips.length > KEPT) this.trips.shift();
    let best = this.trips[0];
    for (const other of this.trips) if (other.trip < best.trip) best = other;
    this.offsetMs = best.offset;
    this.tripMs = best.trip;
  }

  /**
   * Take a time that came without being asked for; it counts only until a round trip is known.
   * @param {number} ns
   * @param {number} receivedMs
   */
  guess(ns, receivedMs) {
    if (!this.trips.length) this.offsetMs = receivedMs - ns / 1e6;
  }

  /** Forget all: the server may be another, on another machine's clock. */
  reset() {
    this.trips.length = 0;
    this.tripMs = NaN;
  }
}

/**
 * What lies between the synthesiser's channels and the loudspeakers: a strip for each role, with its switch and its
 * meter, a little room, and a soft limit, so that many notes at once do not clip.
 */

const ROOM_S = 1.1;
const ROOM_SHARE = 0.4;
/** so that a melody and a band have about -18 LUFS */
const MASTER = 3.5;
const RAMP_S = 0.012;

export class SynthOutput {
  /**
   * @param {AudioContext} context
   * @param {Record<string, number>} balance role -> its strength among the others
   */
  constructor(context, balance) {
    this.context = context;
    this.balance = balance;
    this.master = context.createGain();
    this.master.gain.value = MASTER;
    this.analyser = context.createAnalyser();
    this.analyser.fftSize = 2048;
    const limit = makeLimit(context);
    this.master.connect(limit).connect(this.analyser).connect(context.destination);
    const room = makeRoom(context, this.master);
    /** @type {Map<string, {gate: GainNode, meter: AnalyserNode}>} */
    this.strips = new Map();
    for (const role of Object.keys(balance)) {
      const gate = context.createGain();
      gate.gain.value = balance[role];
      const meter = context.createAnalyser();
      meter.fftSize = 1024;
      gate.connect(meter).connect(this.master);
      if (role !== "bass") gate.connect(room);
      this.strips.set(role, { gate, meter });
    }
    this.samples = new Float32Array(1024);
  }

  /**
   * Let a role be heard, or not.
   * @param {string} role
   * @param {boolean} isHeard
   */
  setHeard(role, isHeard) {
    const gate = this.strips.get(role)?.gate;
    gate?.gain.setTargetAtTime(isHeard ? this.balance[role] : 0, this.context.currentTime, RAMP_S / 3);
  }

  /** @param {number} volume 1 is as usual */
  setVolume(volume) {
    this.master.gain.setTargetAtTime(volume * MASTER, this.context.currentTime, RAMP_S / 3);
  }

  /**
   * Return the largest sample of a role within the last 20 ms or so.
   * @param {string} role
   */
  peak(role) {
    const meter = this.strips.get(role)?.meter;
    if (!meter) return 0;
    meter.getFloatTimeDomainData(this.samples);
    let peak = 0;
    for (const sample of this.samples) peak = Math.max(peak, Math.abs(sample));
    return peak;
  }
}

/** @param {AudioContext} context */
function makeLimit(context) {
  const limit = context.createWaveShaper();
  const points = 2049;
  limit.curve = Float32Array.from({ length: points }, (_, index) => {
    const sample = (index / (points - 1)) * 2 - 1;
    const over = Math.abs(sample) - 0.6; // up to here it changes nothing
    return over <= 0 ? sample : Math.sign(sample) * (0.6 + 0.38 * Math.tanh(over / 0.38));
  });
  return limit;
}

/**
 * Return a node that adds a small room's reverberation: noise that dies away, the same every time.
 * @param {AudioContext} context
 * @param {AudioNode} destination
 */
function makeRoom(context, destination) {
  const rate = context.sampleRate;
  const response = context.createBuffer(2, Math.ceil(rate * ROOM_S), rate);
  let state = 1;
  for (let side = 0; side < 2; side += 1) {
    const samples = response.getChannelData(side);
    let smooth = 0;
    for (let at = 0; at < samples.length; at += 1) {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      smooth += 0.35 * (state / 2 ** 31 - 1 - smooth); // darker than white noise, as rooms are
      samples[at] = smooth * Math.exp((-6.9 * at) / samples.length);
    }
  }
  const room = context.createConvolver();
  room.buffer = response;
  const share = context.createGain();
  share.gain.value = ROOM_SHARE;
  room.connect(share).connect(destination);
  return room;
}

/** A metronome's click: two short wood-like sounds, scheduled on the audio clock to the sample, and taken back at will. */

const LENGTH_S = 0.06;

export class ClickSound {
  /**
   * @param {AudioContext} context
   * @param {AudioNode} destination
   */
  constructor(context, destination) {
    this.context = context;
    this.output = context.createGain();
    this.output.gain.value = 0.09;
    this.output.connect(destination);
    this.high = makeSound(context, 1600);
    this.low = makeSound(context, 1100);
    /** @type {Set<AudioBufferSourceNode>} */
    this.coming = new Set();
  }

  /**
   * @param {number} atS audio time, in seconds; what has passed is played at once
   * @param {boolean} accent
   */
  play(atS, accent) {
    const source = this.context.createBufferSource();
    source.buffer = accent ? this.high : this.low;
    source.connect(this.output);
    source.addEventListener("ended", () => this.coming.delete(source));
    this.coming.add(source);
    source.start(Math.max(atS, this.context.currentTime));
  }

  /** Take back what has not sounded, and end what sounds. */
  silence() {
    for (const source of this.coming) source.stop();
    this.coming.clear();
  }
}

/**
 * @param {AudioContext} context
 * @param {number} hertz
 */
function makeSound(context, hertz) {
  const rate = context.sampleRate;
  const buffer = context.createBuffer(1, Math.ceil(rate * LENGTH_S), rate);
  const samples = buffer.getChannelData(0);
  for (let at = 0; at < samples.length; at += 1) {
    const second = at / rate;
    samples[at] = Math.sin(2 * Math.PI * hertz * second) * Math.exp(-second / 0.012) * Math.min(1, second / 0.0005);
  }
  return buffer;
}

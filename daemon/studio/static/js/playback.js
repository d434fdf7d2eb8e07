/** Playing the item that is shown: from a place, in loop, and on in another item or another revision at the same bar. */
import { emit, on } from "./bus.js";
import { documents } from "./documents.js";
import { live } from "./live.js";
import { player } from "./player.js";
import { region } from "./region.js";
import { stage } from "./stage.js";

export const playback = {
  playing: false,
  loop: true,
  /** @type {number} where the next playing begins, in ticks */
  fromTick: 0,
  /** @type {string|null} an item that is to be played as soon as it is shown */
  wanted: null,

  /** Play the item that is shown from a tick on (else where it was last put). @param {number} [fromTick] */
  async play(fromTick) {
    const item = documents.item;
    if (!item) return;
    if (live.state.playing) live.set("stop", true).catch(() => {});
    stage.show("item");
    const [first, end] = region.ticks(item);
    const at = fromTick ?? this.fromTick;
    const begin = at >= first && at < end ? at : first;
    await player.play(item, { fromTick: begin, loop: this.loop ? [first, end] : null });
  },

  stop() {
    player.stop();
  },

  /** Go on from another place, or begin there the next time. @param {number} tick */
  seek(tick) {
    this.fromTick = tick;
    emit("playback", this);
    if (this.playing) return this.play(tick);
  },

  /** Play, or stop where it plays. */
  toggle() {
    if (this.playing) this.stop();
    else return this.play();
  },

  /** Play an item from its beginning as soon as it is shown. @param {string} id */
  playWhenShown(id) {
    this.wanted = id;
    if (documents.item?.id === id) begin(documents.item);
  },

  /** Loop, or play to the end. @param {boolean} loop */
  setLoop(loop) {
    this.loop = loop;
    loopRegion();
    emit("playback", this);
  },
};

/** Have the player repeat the bars that are chosen, or nothing. */
function loopRegion() {
  if (playback.playing && documents.item) player.setLoop(playback.loop ? region.ticks(documents.item) : null);
}

/** @param {import("./documents.js").Item} item */
function begin(item) {
  playback.wanted = null;
  if (playback.playing) player.switchTo(item);
  else {
    playback.fromTick = region.ticks(item)[0];
    playback.play();
  }
}

/** Follow what is shown and what the player does. */
export function setUp() {
  on("player:state", ({ playing }) => {
    playback.playing = playing;
    emit("playback", playback);
  });
  on("item:chosen", (item) => {
    if (!item) player.stop();
    else if (item.id === playback.wanted) begin(item);
    else if (playback.playing) player.switchTo(item);
  });
  on("region", loopRegion);
}

/**
 * In the AudioWorklet, loaded before the synthesiser: keeps the synthesiser's clock equal to the audio clock.
 *
 * The synthesiser counts the blocks that it has made. Those that the browser lets pass before it first asks for one are
 * missing from its count, so that everything that is scheduled sounded as much too late: measured, up to 25 ms.
 */

const register = globalThis.registerProcessor;

globalThis.registerProcessor = (name, Processor) =>
  register(
    name,
    class extends Processor {
      process(inputs, outputs, parameters) {
        const clock = this.core?.synthesizer?.synthCore;
        if (clock) clock.currentTime = currentTime;
        return super.process(inputs, outputs, parameters);
      }
    },
  );

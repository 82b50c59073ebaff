// Runs beside the page's own thread: collects 100 ms of sound and hands it over as 16-bit samples.
class Capture extends AudioWorkletProcessor {
  #samples = new Int16Array(sampleRate / 10);
  #count = 0;

  process([input]) {
    for (const value of input[0] ?? []) {
      this.#samples[this.#count++] = Math.max(-1, Math.min(1, value)) * 32767;
      if (this.#count === this.#samples.length) {
        this.port.postMessage(this.#samples.buffer, [this.#samples.buffer]);
        this.#samples = new Int16Array(sampleRate / 10);
        this.#count = 0;
      }
    }
    return true;
  }
}
registerProcessor('capture', Capture);

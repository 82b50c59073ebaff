// The microphone as 16-bit samples, sent in the order in which they were heard.

/** Why the microphone cannot be used here, or null. */
export function obstacle() {
  if (!isSecureContext) {
    return 'Browsers allow the microphone only on pages from this machine (127.0.0.1, localhost) or over HTTPS. '
      + 'Reach this server through a TLS proxy to use it.';
  }
  if (!navigator.mediaDevices?.getUserMedia || !globalThis.AudioWorkletNode) return 'This browser does not support the microphone on pages.';
  return null;
}

export class Microphone {
  #context;
  #stream;
  #pieces = [];
  #sending;
  #send;
  #isClosed = false;

  /**
   * Listens.
   * @param {(samples: ArrayBuffer, rate: number) => Promise<void>} send takes s16le mono; called again once it is done
   * @param {(error: Error) => void} fail
   */
  static async open(send, fail) {
    const microphone = new Microphone();
    microphone.#stream = await navigator.mediaDevices.getUserMedia(
      { audio: { echoCancellation: true, noiseSuppression: true, channelCount: 1 } });
    const context = microphone.#context = new AudioContext({ latencyHint: 'interactive' });
    await context.audioWorklet.addModule(new URL('capture.js', import.meta.url));
    const node = new AudioWorkletNode(context, 'capture', { numberOfOutputs: 0, channelCount: 1 });
    microphone.#send = pieces => send(new Blob(pieces), context.sampleRate).catch(fail);
    node.port.onmessage = ({ data }) => microphone.#take(data);
    context.createMediaStreamSource(microphone.#stream).connect(node);
    return microphone;
  }

  /** Stops listening, and waits until everything was sent. */
  async close() {
    this.#isClosed = true;
    this.#stream.getTracks().forEach(track => track.stop());
    await this.#context.close();
    await this.#sending;
  }

  #take(piece) {
    if (this.#isClosed) return;
    this.#pieces.push(piece);
    // A server that falls five seconds behind is gone; the oldest sound is dropped.
    if (this.#pieces.length > 50) this.#pieces.shift();
    this.#sending ??= this.#drain();
  }

  // One request at a time: what is heard meanwhile goes with the next one.
  async #drain() {
    while (this.#pieces.length) await this.#send(this.#pieces.splice(0));
    this.#sending = undefined;
  }
}

// Injected before the page: writes down what is seen and heard, with the page's clock. The page itself knows nothing of it.
(() => {
  const probe = window.probe = { area: null, pictures: [], sounds: [], clock: null };
  const size = [48, 32];
  const canvas = new OffscreenCanvas(...size);
  const context = canvas.getContext('2d', { willReadFrequently: true });

  // Brightness of the mouth, and how much it differs from the picture before.
  let last;
  const look = (now, metadata) => {
    const video = document.getElementById('video');
    let light = 0, motion = 0;
    if (probe.area) {
      const { x, y, width, height } = probe.area;
      context.drawImage(video, x, y, width, height, 0, 0, ...size);
      const pixels = context.getImageData(0, 0, ...size).data;
      for (let i = 0; i < pixels.length; i += 4) {
        light += pixels[i + 1];
        if (last) motion += Math.abs(pixels[i + 1] - last[i + 1]);
      }
      last = pixels;
    }
    const count = size[0] * size[1];
    probe.pictures.push([metadata.expectedDisplayTime, light / count, motion / count, metadata.presentedFrames, performance.now(), video.videoWidth]);
    video.requestVideoFrameCallback(look);
  };
  addEventListener('DOMContentLoaded', () => document.getElementById('video').requestVideoFrameCallback(look));

  // Loudness of every 128 samples. Its clock is the context's; `clock` says when a sample leaves the loudspeaker.
  const worklet = `registerProcessor('ear', class extends AudioWorkletProcessor {
    constructor() { super(); this.heard = []; }
    process([[samples]]) {
      let sum = 0;
      if (samples) for (const sample of samples) sum += sample * sample;
      this.heard.push(currentTime, Math.sqrt(sum / 128));
      if (this.heard.length >= 64) { this.port.postMessage(this.heard); this.heard = []; }
      return true;
    }
  });`;
  probe.listen = async () => {
    const audio = new AudioContext({ sampleRate: 48000, latencyHint: 'interactive' });
    await audio.resume();
    await audio.audioWorklet.addModule(URL.createObjectURL(new Blob([worklet], { type: 'text/javascript' })));
    const ear = new AudioWorkletNode(audio, 'ear', { numberOfOutputs: 0 });
    ear.port.onmessage = ({ data }) => {
      const { contextTime, performanceTime } = audio.getOutputTimestamp();
      for (let i = 0; i < data.length; i += 2) probe.sounds.push([performanceTime + 1000 * (data[i] - contextTime), data[i + 1]]);
    };
    audio.createMediaStreamSource(document.getElementById('video').srcObject).connect(ear);
    probe.audio = audio;
    return audio.state;
  };
  probe.take = () => {
    const { pictures, sounds } = probe;
    probe.pictures = []; probe.sounds = [];
    return { pictures, sounds, origin: performance.timeOrigin };
  };
})();

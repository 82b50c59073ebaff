// Injected before the page: writes down what is seen and heard, with the page's clock. The page itself knows nothing of it.
(() => {
  const probe = window.probe = { area: null, pictures: [], sounds: [] };
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
  addEventListener('DOMContentLoaded', () => {
    // Painting pixels in software is not what is tested.
    Object.assign(document.getElementById('video').style, { width: '160px', height: '90px' });
    document.getElementById('video').requestVideoFrameCallback(look);
  });

  // Loudness of the received track, every 2.5 ms, when it leaves WebRTC for the loudspeaker.
  probe.listen = async () => {
    const [track] = document.getElementById('video').srcObject.getAudioTracks();
    const reader = new MediaStreamTrackProcessor({ track }).readable.getReader();
    (async () => {
      for (;;) {
        const { value, done } = await reader.read();
        if (done) break;
        const samples = new Float32Array(value.numberOfFrames);
        value.copyTo(samples, { planeIndex: 0, format: 'f32-planar' });
        const step = value.sampleRate / 400;
        for (let start = 0; start + step <= samples.length; start += step) {
          let sum = 0;
          for (let i = start; i < start + step; i += 1) sum += samples[i] * samples[i];
          probe.sounds.push([value.timestamp / 1000 + 1000 * start / value.sampleRate, Math.sqrt(sum / step)]);
        }
        value.close();
      }
    })();
  };
  probe.take = () => {
    const { pictures, sounds } = probe;
    probe.pictures = []; probe.sounds = [];
    return { pictures, sounds, origin: performance.timeOrigin };
  };
})();

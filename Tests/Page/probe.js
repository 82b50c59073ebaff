// Injected before the page by the test: records what is played and what is shown. The page itself knows nothing of it.
(() => {
  const probe = window.probe = { frames: [], chunks: [], arrivals: [], marks: {}, area: null };
  const append = SourceBuffer.prototype.appendBuffer;
  SourceBuffer.prototype.appendBuffer = function (data) {
    if (probe.chunks.length < 4000) {
      probe.chunks.push(new Uint8Array(data.buffer ?? data).slice());
      probe.arrivals.push(performance.now());
    }
    return append.call(this, data);
  };
  const canvas = new OffscreenCanvas(64, 48);
  const context = canvas.getContext('2d', { willReadFrequently: true });
  let last;
  const look = (now, metadata) => {
    const video = document.getElementById('video');
    let motion = null;
    if (probe.area) {
      const { x, y, width, height } = probe.area;
      context.drawImage(video, x, y, width, height, 0, 0, 64, 48);
      const pixels = context.getImageData(0, 0, 64, 48).data;
      if (last) {
        let sum = 0;
        for (let i = 0; i < pixels.length; i += 4) sum += Math.abs(pixels[i + 1] - last[i + 1]);
        motion = sum / (pixels.length / 4);
      }
      last = pixels;
    }
    const { buffered } = video;
    probe.frames.push({
      time: performance.now(), now, shown: metadata.expectedDisplayTime, media: metadata.mediaTime,
      current: video.currentTime, rate: video.playbackRate, motion,
      ahead: buffered.length ? buffered.end(buffered.length - 1) - video.currentTime : 0,
    });
    video.requestVideoFrameCallback(look);
  };
  addEventListener('DOMContentLoaded', () => document.getElementById('video').requestVideoFrameCallback(look));
})();

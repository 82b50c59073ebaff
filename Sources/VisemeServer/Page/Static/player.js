// Plays a fragmented MP4 that is written while it is watched, as close to its newest picture as the arrival allows.

const Source = globalThis.ManagedMediaSource ?? globalThis.MediaSource;

/** Seconds of data that playback keeps in front of it, at first and at most. */
const least = 0.18, most = 0.45;

/**
 * What to do with so much data in front of the playhead: the rate to play at, or null to jump to the newest picture.
 * @param {number} ahead seconds @param {number} target seconds
 */
export function steer(ahead, target) {
  // A jump decodes from a key frame on: on a machine that is late already it costs more than it gains.
  if (ahead > target + 1.5) return null;
  if (ahead > target + 0.4) return 1.5;
  if (ahead > target + 0.12) return 1.1;
  if (ahead < target - 0.1) return 0.95;
  return 1;
}

export class Player {
  #video;
  #source;
  #buffer;
  #opened;
  #timer;
  #target = least;
  #silentUntil;
  #isPlaying = false;
  #shown = [];

  /** Takes a video element; called in the user's own click, so that the browser lets it play with sound. */
  constructor(video) {
    if (!Source) throw new Error('This browser has no Media Source Extensions; open stream.mp4 in a player instead.');
    this.#video = video;
    this.#source = new Source();
    this.#opened = new Promise(done => this.#source.addEventListener('sourceopen', done, { once: true }));
    video.disableRemotePlayback = true;
    video.src = URL.createObjectURL(this.#source);
    video.play().catch(() => {}); // it begins with the first data
    video.addEventListener('waiting', this.#starved);
    video.addEventListener('playing', this.#playing);
    video.addEventListener('pause', this.#paused);
    if (video.requestVideoFrameCallback) video.requestVideoFrameCallback(this.#frame);
    this.#timer = setInterval(() => this.#steer(), 100);
  }

  /** Plays a response to its end. */
  async play(response) {
    await this.#opened;
    URL.revokeObjectURL(this.#video.src);
    const type = response.headers.get('Content-Type');
    this.#buffer = this.#source.addSourceBuffer(
      Source.isTypeSupported(type) ? type : 'video/mp4; codecs="avc1.64001f, mp4a.40.2"');
    const reader = response.body.getReader();
    try {
      for (;;) {
        const { done, value } = await reader.read();
        if (done) break;
        await this.#append(value);
      }
      if (this.#source.readyState === 'open') this.#source.endOfStream();
    } finally {
      reader.cancel().catch(() => {});
    }
  }

  /**
   * Is silent until what has come by now was shown, and hurries there. Neither a jump, which decodes from a key frame on, nor a
   * greater hurry, which lets the decoder run dry, would be there sooner.
   */
  skip() {
    const { buffered } = this.#video;
    if (!buffered.length) return;
    this.#silentUntil = buffered.end(buffered.length - 1) + 0.2;
    this.#video.volume = 0;
  }

  /** Seconds between what is shown and the newest that has come. */
  get behind() {
    const { buffered, currentTime } = this.#video;
    return buffered.length ? Math.max(0, buffered.end(buffered.length - 1) - currentTime) : 0;
  }

  /** Pictures that were shown in the last second. */
  get rate() {
    const since = performance.now() - 1000;
    this.#shown = this.#shown.filter(time => time > since);
    return this.#shown.length;
  }

  close() {
    clearInterval(this.#timer);
    this.#video.removeEventListener('waiting', this.#starved);
    this.#video.removeEventListener('playing', this.#playing);
    this.#video.removeEventListener('pause', this.#paused);
    this.#video.removeAttribute('src');
    this.#video.load();
  }

  async #append(bytes) {
    for (;;) {
      try {
        await this.#update(() => this.#buffer.appendBuffer(bytes));
        break;
      } catch (error) {
        if (error.name !== 'QuotaExceededError' || !await this.#trim(1)) throw error;
      }
    }
    this.#steer();
    if (this.#video.buffered.length && this.#video.currentTime - this.#video.buffered.start(0) > 20) await this.#trim(10);
  }

  /** Forgets what was shown more than `kept` seconds ago; says whether there was any. */
  async #trim(kept) {
    const { buffered, currentTime } = this.#video;
    if (!buffered.length || buffered.start(0) >= currentTime - kept) return false;
    await this.#update(() => this.#buffer.remove(0, currentTime - kept));
    return true;
  }

  #update(change) {
    return new Promise((done, fail) => {
      this.#buffer.onupdateend = done;
      this.#buffer.onerror = () => fail(new Error('The browser cannot decode the stream.'));
      try { change(); } catch (error) { fail(error); }
    });
  }

  #steer() {
    const video = this.#video;
    const { buffered } = video;
    if (!buffered.length) return;
    // The target shrinks again after a disturbance.
    this.#target = Math.max(least, this.#target - 0.0005);
    const end = buffered.end(buffered.length - 1), start = buffered.start(buffered.length - 1);
    const ahead = end - video.currentTime;
    // A viewer that joins late begins at the newest picture, not at zero.
    const isOutside = ahead < 0 || video.currentTime < start;
    if (video.currentTime > this.#silentUntil) {
      this.#silentUntil = undefined;
      video.volume = 1;
    }
    const rate = this.#silentUntil && ahead > 0.2 ? 1.5 : steer(ahead, this.#target);
    if (isOutside || rate === null) video.currentTime = Math.max(start, end - this.#target);
    else if (video.playbackRate !== rate) video.playbackRate = rate;
  }

  #starved = () => { if (this.#isPlaying) this.#target = Math.min(most, this.#target + 0.05); };
  #playing = () => { this.#isPlaying = true; };
  // A browser may pause a hidden tab; playback then continues at the newest picture.
  #paused = () => { if (!this.#video.ended && document.visibilityState === 'visible') this.#video.play().catch(() => {}); };
  #frame = (now) => {
    this.#shown.push(now);
    if (this.#shown.length > 100) this.#shown.shift();
    this.#video.requestVideoFrameCallback(this.#frame);
  };
}

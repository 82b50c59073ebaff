// A live session: what is said goes up, a video and events come down.
import { events, request } from './client.js';
import { Player } from './player.js';

export class Session extends EventTarget {
  #video;
  #player;
  #path;
  #secret;
  #abort = new AbortController();
  #asked = 0;
  #isClosed = false;
  state = 'idle';
  /** Seconds from the last request to speak to the first frame of speech that was shown; undefined before. */
  first = undefined;
  report = {};

  /** Opens the player at once, in the user's own click, then the session. */
  constructor(video, avatar) {
    super();
    this.#video = video;
    this.#player = new Player(video);
    this.opened = this.#open(avatar);
    this.opened.catch(error => this.#end(error));
  }

  async #open(avatar) {
    const created = await request('v1/sessions', { method: 'POST', json: { avatar } }).then(answer => answer.json());
    this.#path = `v1/sessions/${created.id}`;
    this.#secret = created.secret;
    if (this.#isClosed) return this.#delete();
    const [stream, status] = await Promise.all(
      [this.#send('stream.mp4'), this.#send('events')]);
    this.#player.play(stream).then(() => this.#end(), error => this.#end(error));
    this.#watch(status).catch(error => this.#end(error));
  }

  /** Says a text, in a voice or with the server's own. */
  say(text, voice) {
    this.#ask();
    return this.#send('say', { method: 'POST', json: { text, voice } });
  }

  /** Says what a file sounds like. The answer comes when the last of it was taken, some seconds before it is spoken. */
  play(file) {
    this.#ask();
    return this.#send('audio', { method: 'POST', body: file, headers: { 'Content-Type': 'application/octet-stream' } });
  }

  /** Says a piece of something longer: 16-bit samples, mono. */
  push(samples, rate) {
    if (!this.#asked) this.#ask();
    return this.#send(`audio?format=s16le&rate=${rate}&channels=1`, { method: 'POST', body: samples });
  }

  /** Nothing more comes for now. */
  finish() { return this.#send('finish', { method: 'POST' }); }

  /** Stops speaking, and leaves out what was not shown yet. */
  interrupt() {
    this.#player.skip();
    return this.#send('interrupt', { method: 'POST' });
  }

  get figures() {
    return { fps: this.#player.rate, behind: this.#player.behind, first: this.first, dropped: this.report.dropped };
  }

  close() {
    if (this.#isClosed) return;
    this.#delete();
    this.#end();
  }

  #delete() {
    // The page may be on its way out: `keepalive` lets the request outlive it.
    if (this.#path) request(this.#path, { method: 'DELETE', secret: this.#secret, keepalive: true }).catch(() => {});
  }

  #send(action, options = {}) {
    return request(`${this.#path}/${action}`, { secret: this.#secret, signal: this.#abort.signal, ...options });
  }

  #ask() { this.#asked = performance.now(); }

  async #watch(response) {
    for await (const { data } of events(response)) {
      this.report = data;
      const state = data.state ?? this.state;
      if (state === 'speaking' && this.#asked) {
        // The event is sent with the frame; it is seen when playback has come there.
        this.first = (performance.now() - this.#asked) / 1000 + this.#player.behind;
        this.#asked = 0;
      }
      if (state !== this.state) {
        this.state = state;
        this.dispatchEvent(new Event('state'));
      }
    }
    this.#end();
  }

  #end(error) {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#abort.abort();
    this.#player.close();
    this.state = 'ended';
    this.dispatchEvent(new CustomEvent('end', { detail: error?.name === 'AbortError' ? undefined : error }));
  }
}

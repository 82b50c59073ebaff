// Videos that are rendered to a file: a list with progress, downloads and removal.
import { events, key, request } from './client.js';

export class Renders {
  #section;
  #list;
  #fail;

  /** @param {HTMLElement} section with a list inside @param {(error: Error) => void} fail */
  constructor(section, fail) {
    this.#section = section;
    this.#list = section.querySelector('ul');
    this.#fail = fail;
  }

  /** Shows what the server has from before. */
  async load() {
    this.#list.replaceChildren();
    const { renders } = await request('v1/renders').then(answer => answer.json());
    for (const job of renders.toReversed()) this.#add(job, `${job.avatar}, ${new Date(job.createdAt).toLocaleString()}`);
  }

  /** Asks for a render of a file or a text. */
  async start(avatar, { file, text, voice }) {
    const query = new URLSearchParams(voice ? { avatar, voice } : { avatar });
    const type = file ? 'application/octet-stream' : 'text/plain; charset=utf-8';
    const answer = await request(`v1/renders?${query}`, {
      method: 'POST', body: file ?? text, headers: { 'Content-Type': type, 'Idempotency-Key': unique() },
    });
    this.#add(await answer.json(), file?.name ?? text);
  }

  #add(job, name) {
    this.#section.hidden = false;
    const item = document.createElement('li');
    const title = Object.assign(document.createElement('span'), { className: 'name', textContent: name, title: name });
    const action = Object.assign(document.createElement('button'), { type: 'button', textContent: 'Cancel' });
    const note = Object.assign(document.createElement('div'), { className: 'note' });
    note.setAttribute('aria-live', 'polite');
    action.addEventListener('click', () => this.#remove(job.id, item));
    action.setAttribute('aria-label', `Cancel ${name}`);
    item.append(title, action, note);
    this.#list.prepend(item);
    this.#follow(job, { name, action, note }).catch(error => {
      if (item.isConnected) this.#fail(error);
    });
  }

  async #follow(job, { name, action, note }) {
    const bar = document.createElement('progress');
    bar.setAttribute('aria-label', `Progress of ${name}`);
    const number = Object.assign(document.createElement('span'), { className: 'fine' });
    note.replaceChildren(bar, number);
    const show = ({ framesDone, framesTotal }) => {
      if (!framesTotal || !framesDone) return;
      bar.max = framesTotal;
      bar.value = framesDone;
      number.textContent = `${Math.round(100 * framesDone / framesTotal)} %, ${framesDone} of ${framesTotal} pictures`;
    };
    if (job.state === 'queued' || job.state === 'running') {
      for await (const { data } of events(await request(`v1/renders/${job.id}/events`))) {
        job = data;
        show(job);
      }
    }
    action.textContent = 'Remove';
    action.setAttribute('aria-label', `Remove ${name}`);
    if (job.state === 'finished') {
      const link = document.createElement('a');
      link.textContent = `Download, ${(job.resultBytes / 1e6).toFixed(1)} MB`;
      link.href = `v1/renders/${job.id}/result`;
      link.download = `${job.avatar}.mp4`;
      // A link cannot carry the key.
      if (key.value) link.addEventListener('click', event => this.#download(event, link));
      note.replaceChildren(link);
    } else {
      note.textContent = job.error?.message ?? 'It was not finished.';
    }
  }

  async #download(event, link) {
    if (link.protocol === 'blob:') return;
    event.preventDefault();
    try {
      link.href = URL.createObjectURL(await request(link.getAttribute('href')).then(answer => answer.blob()));
      link.click();
    } catch (error) { this.#fail(error); }
  }

  async #remove(id, item) {
    try {
      await request(`v1/renders/${id}`, { method: 'DELETE' });
      item.remove();
      this.#section.hidden = !this.#list.children.length;
    } catch (error) { this.#fail(error); }
  }
}

// crypto.randomUUID() exists over HTTPS only.
function unique() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), byte => byte.toString(16).padStart(2, '0')).join('');
}

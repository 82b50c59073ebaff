// The page: what the user does, and what is shown.
import { Failure, key, request } from './client.js';
import { Microphone, obstacle } from './microphone.js';
import { Renders } from './renders.js';
import { Session } from './session.js';

const at = id => document.getElementById(id);
const video = at('video'), composer = at('composer'), problem = at('problem');
const renders = new Renders(at('renders'), fail);
const states = {
  none: 'Not started', starting: 'Starting', idle: 'Ready', waiting: 'Waiting for more', speaking: 'Speaking', ended: 'Ended',
};

let avatars = [];
let session;
let microphone;
const busy = new Set();

// MARK: Showing

function show() {
  const state = !session ? 'none' : session.state;
  const label = state === 'idle' && microphone ? 'Listening' : states[state] ?? state;
  if (at('status').textContent !== label) at('status').textContent = label;
  at('status').dataset.state = state;
  at('start').hidden = Boolean(session);
  at('mute').hidden = at('end').hidden = !session;
  at('interrupt').disabled = !session || (state !== 'speaking' && state !== 'waiting' && !microphone);
  const source = composer.source.value;
  for (const panel of composer.querySelectorAll('[data-source]')) panel.hidden = panel.dataset.source !== source;
  const isReady = { text: at('text').value.trim(), file: at('file').files.length, microphone: !obstacle() }[source];
  at('speak').disabled = busy.has(speak) || !avatars.length || !isReady;
  at('speak').textContent = source !== 'microphone' ? 'Speak' : microphone ? 'Stop listening' : 'Listen';
  at('start').disabled = !avatars.length;
  at('add-send').disabled = busy.has(add);
  at('render').hidden = source === 'microphone';
  at('render').disabled = busy.has(render) || !avatars.length || !isReady;
}

function showFigures() {
  const { fps, behind, first, dropped } = session?.figures ?? {};
  const text = (value, unit = '', digits = 0) => (value === undefined ? '–' : value.toFixed(digits) + unit);
  at('fps').textContent = text(fps);
  at('behind').textContent = text(behind, ' s', 2);
  at('first').textContent = text(first, ' s', 2);
  at('dropped').textContent = text(dropped);
}

function fail(error) {
  if (!error || error.name === 'AbortError') return;
  if (error instanceof Failure && error.status === 401) {
    askForKey();
    return;
  }
  const again = error.retryAfter ? ` Try again in ${error.retryAfter} s.` : '';
  problem.textContent = `${error.message}${again}${error.hint ? ` ${error.hint}` : ''}`;
  problem.hidden = false;
}

/** Asks for the key; says so when the one that was tried is wrong. */
function askForKey() {
  at('key-problem').textContent = 'The server does not accept this key.';
  at('key-problem').hidden = !key.value;
  key.value = '';
  at('enter-key').hidden = true;
  if (!at('key').open) at('key').showModal();
}

/** Runs what a button asks for, once at a time, and shows what goes wrong. */
async function act(work) {
  if (busy.has(work)) return;
  problem.hidden = true;
  busy.add(work);
  show();
  try { await work(); } catch (error) { fail(error); }
  busy.delete(work);
  show();
}

// MARK: Avatars

async function loadAvatars(wanted) {
  ({ avatars } = await request('v1/avatars').then(answer => answer.json()));
  const group = at('avatars');
  group.querySelectorAll('label').forEach(label => label.remove());
  avatars.forEach((avatar, index) => {
    const label = document.createElement('label');
    const input = Object.assign(document.createElement('input'),
      { type: 'radio', name: 'avatar', value: avatar.id, checked: wanted ? avatar.id === wanted : index === 0 });
    const image = Object.assign(document.createElement('img'), { alt: '', width: 132, height: 74 });
    label.append(input, image, avatar.name ?? avatar.id);
    group.append(label);
    picture(avatar).then(url => {
      image.src = url;
      if (avatar === chosen()) video.poster = url;
    }).catch(() => {}); // an avatar without a picture still has a name
  });
  if (!avatars.length) fail(new Error('This server has no avatar.'));
  choose();
}

// An <img> cannot carry the key.
async function picture(avatar) {
  const path = `v1/avatars/${encodeURIComponent(avatar.id)}/preview.png`;
  avatar.picture ??= key.value ? URL.createObjectURL(await request(path).then(answer => answer.blob())) : path;
  return avatar.picture;
}

function chosen() {
  const id = document.querySelector('input[name="avatar"]:checked')?.value;
  return avatars.find(avatar => avatar.id === id);
}

function choose() {
  const avatar = chosen();
  if (!avatar) return show();
  if (avatar.picture) video.poster = avatar.picture;
  at('rights').textContent = [avatar.licence, avatar.consent].filter(Boolean).join(' · ');
  end();
}

/** Sends a pack, and chooses it. The admin key is not kept. */
async function add() {
  const file = at('add-file').files[0], name = at('add-name').value.trim();
  at('add-state').textContent = 'It is being sent and examined …';
  try {
    const path = `v1/avatars${name ? `?name=${encodeURIComponent(name)}` : ''}`;
    const headers = { Authorization: `Bearer ${at('add-key').value}`, 'Content-Type': 'application/x-tar' };
    const { id } = await request(path, { method: 'POST', body: file, headers }).then(answer => answer.json());
    at('add-form').reset();
    at('add-state').textContent = `${id} was added.`;
    await loadAvatars(id);
  } catch (error) {
    if (error.status === 401) error = new Error('This is no admin key of the server.');
    at('add-state').textContent = `${error.message}${error.hint ? ` ${error.hint}` : ''}`;
  }
}

// MARK: Speaking

/** The session, begun if there is none. Called first thing in a click, so that the browser plays sound. */
function live() {
  if (session) return session;
  const begun = session = new Session(video, chosen().id);
  begun.state = 'starting';
  begun.opened.then(() => {
    if (begun.state === 'starting') begun.state = 'idle';
    show();
  }, () => {}); // reported by its end
  begun.addEventListener('state', show);
  begun.addEventListener('end', ({ detail }) => {
    if (session !== begun) return;
    listen(false);
    session = undefined;
    fail(detail);
    show();
  });
  show();
  return begun;
}

const start = () => live().opened;

function end() {
  const ending = session;
  session = undefined;
  listen(false);
  ending?.close();
  show();
}

async function listen(wanted) {
  const open = microphone;
  microphone = undefined;
  if (open) await open.close();
  if (!wanted) return;
  const target = live();
  await target.opened;
  microphone = await Microphone.open((samples, rate) => target.push(samples, rate), error => {
    fail(error);
    listen(false).then(show);
  });
}

async function speak() {
  const source = composer.source.value;
  if (source === 'microphone') {
    if (!microphone) return listen(true);
    await listen(false);
    return session?.finish();
  }
  const target = live();
  await target.opened;
  if (source === 'file') await target.play(at('file').files[0]);
  else await target.say(at('text').value, voice());
}

/** The voice that was chosen; undefined for the server's own. */
const voice = () => at('voice').value.trim() || undefined;

function render() {
  return renders.start(chosen().id,
    composer.source.value === 'file' ? { file: at('file').files[0] } : { text: at('text').value, voice: voice() });
}

async function interrupt() {
  if (microphone) await listen(false);
  await session?.interrupt();
}

// MARK: Wiring

composer.addEventListener('submit', event => {
  event.preventDefault();
  act(speak);
});
composer.addEventListener('input', show);
composer.addEventListener('change', event => {
  if (event.target.name === 'source' && microphone) listen(false);
  problem.hidden = true; // it was about what was asked for before
  show();
});
at('text').addEventListener('keydown', event => {
  if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) composer.requestSubmit();
});
at('start').addEventListener('click', () => act(start));
at('end').addEventListener('click', end);
at('interrupt').addEventListener('click', () => act(interrupt));
document.addEventListener('keydown', event => {
  if (event.key === 'Escape' && !at('interrupt').disabled && !at('key').open) act(interrupt);
});
at('render').addEventListener('click', () => act(render));
at('mute').addEventListener('click', () => {
  video.muted = !video.muted;
  at('mute').setAttribute('aria-pressed', String(video.muted));
});
at('avatars').addEventListener('change', choose);
at('add-form').addEventListener('submit', event => {
  event.preventDefault();
  act(add);
});
at('key').addEventListener('close', () => {
  if (at('key').returnValue !== 'use') {
    fail(new Error('This server needs an API key.'));
    at('enter-key').hidden = false;
    return;
  }
  problem.hidden = true;
  key.value = at('key-value').value;
  at('key-value').value = '';
  act(load);
});
at('enter-key').addEventListener('click', askForKey);
addEventListener('pagehide', () => session?.close());

async function load() {
  await loadAvatars();
  await renders.load();
}
if (obstacle()) at('microphone').textContent = obstacle();
setInterval(showFigures, 500);
act(load);

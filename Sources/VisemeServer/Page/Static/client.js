// Requests to the server that this page came from. Addresses are relative, so that a path prefix works.

/** An error response of the server. */
export class Failure extends Error {
  constructor(status, error, retryAfter) {
    super(error?.message ?? `The server answered with status ${status}.`);
    this.status = status;
    this.hint = error?.hint;
    this.retryAfter = retryAfter;
  }
}

const keyName = 'viseme-key';

export const key = {
  get value() { return sessionStorage.getItem(keyName) ?? ''; },
  set value(text) { sessionStorage.setItem(keyName, text); },
};

/**
 * Sends a request.
 * @param {string} path relative address
 * @param {RequestInit & {secret?: string, json?: object}} options `secret` of a session; `json` becomes the body
 * @returns {Promise<Response>} any answer that is no error
 */
export async function request(path, { secret, json, headers = {}, ...options } = {}) {
  const all = { ...headers };
  if (key.value) all['Authorization'] ??= `Bearer ${key.value}`;
  if (secret) all['Viseme-Session-Secret'] = secret;
  if (json) {
    all['Content-Type'] = 'application/json';
    options.body = JSON.stringify(json);
  }
  const response = await fetch(path, { ...options, headers: all, cache: 'no-store' });
  if (response.ok) return response;
  let error;
  try { error = (await response.json()).error; } catch { /* not JSON, such as a proxy's page */ }
  throw new Failure(response.status, error, Number(response.headers.get('Retry-After')) || undefined);
}

/** The events of a server-sent stream, one object {event, data} after the other. EventSource could not send our headers. */
export async function* events(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let text = '';
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      text += value;
      for (let end = text.indexOf('\n\n'); end >= 0; end = text.indexOf('\n\n')) {
        const fields = { event: 'message', data: '' };
        for (const line of text.slice(0, end).split('\n')) {
          const [, name, content] = line.match(/^(event|data): ?(.*)$/) ?? [];
          if (name === 'event') fields.event = content;
          if (name === 'data') fields.data += content;
        }
        text = text.slice(end + 2);
        if (fields.data) yield { event: fields.event, data: JSON.parse(fields.data) };
      }
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}

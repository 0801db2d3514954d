// What every TypeScript client of the matrix does, whichever SDK it is on. `client` is connected; the caller closes it.

import assert from 'node:assert/strict';

const WATCHED = 'test://watched-resource';

export const ELICITED = { action: 'accept', content: { answer: 'Ada' } };

const only = (result) => {
  assert.ok(!result.isError, JSON.stringify(result));
  return result.content[0].text;
};

// `call` differs between the SDKs, and `watch` between the eras: it resolves once the subscription is in place, with a promise
// of the first change in it.
export async function visit({ client, call, watch }) {
  const { tools } = await client.listTools();
  const names = tools.map((tool) => tool.name);
  for (const name of ['echo', 'add', 'count', 'ask', 'touch']) assert.ok(names.includes(name), `${name} in ${names}`);

  const word = 'Grüße, 世界 ✓ "quoted" \\ \u2028';
  assert.equal(only(await call('echo', { text: word })), word);
  assert.equal(only(await call('add', { a: 2, b: 3 })), '5');

  const progress = [];
  only(await call('count', {}, (update) => progress.push(update.progress)));
  assert.deepEqual(progress, [0, 50, 100]);

  assert.equal(only(await call('ask', { question: 'Who?' })), 'Ada');

  const { contents } = await client.readResource({ uri: 'test://static-text' });
  assert.equal(contents[0].text, 'This is the content of the static text resource.');

  const change = await watch(WATCHED);
  only(await call('touch', {}));
  const { uri } = await within(10_000, change(), 'the change of a watched resource');
  assert.equal(uri, WATCHED);

  await assert.rejects(call('no-such-tool', {}).then(only));
  return { tools: names.length, progress };
}

export function within(milliseconds, promise, what) {
  const late = new Promise((_, reject) => {
    setTimeout(() => reject(new Error(`waited ${milliseconds} ms for ${what}`)), milliseconds).unref();
  });
  return Promise.race([promise, late]);
}

// The first value given to `put` settles what `first()` returns.
export function first() {
  let put;
  const value = new Promise((resolve) => (put = resolve));
  return { put, first: () => value };
}

// A transport of the SDK's own, to a URL or to a command.
export function transportTo([target, ...args], { Stdio, Http }) {
  return target.startsWith('http') ? new Http(new URL(target)) : new Stdio({ command: target, args, stderr: 'inherit', env: process.env });
}

// What every TypeScript server of the matrix offers, whichever SDK it is on. The tools and resources are those of `mcp-fixture`.

import { setTimeout } from 'node:timers/promises';

// SDK clients forget who waits for progress as soon as the answer is read, and on a busy machine they read both at once.
const PAUSE = 300;

const text = { type: 'string' };
const number = { type: 'number' };
const tool = (name, description, properties) => ({
  name,
  description,
  inputSchema: { type: 'object', properties, required: Object.keys(properties) },
});

export const TOOLS = [
  tool('echo', 'Returns the text it is given', { text }),
  tool('add', 'Adds two numbers', { a: number, b: number }),
  tool('count', 'Reports progress three times', {}),
  tool('ask', 'Asks the user', { question: text }),
  tool('touch', 'Announces that the watched resource changed', {}),
];

export const WATCHED = 'test://watched-resource';

const TEXTS = { 'test://static-text': 'This is the content of the static text resource.', [WATCHED]: 'Watch me.' };

export const RESOURCES = Object.keys(TEXTS).map((uri) => ({ uri, name: uri.slice('test://'.length), mimeType: 'text/plain' }));

export const read = (uri) => ({ contents: [{ uri, mimeType: 'text/plain', text: TEXTS[uri] }] });

export const ask = (message) => ({
  mode: 'form',
  message,
  requestedSchema: { type: 'object', properties: { answer: text }, required: ['answer'] },
});

const said = (text) => ({ content: [{ type: 'text', text }] });

// The answer to a call. How progress, changes and questions travel is the SDK's business: `ask` gives the user's answer, or
// the result that carries the question to the client.
export async function describe({ name, arguments: args, _meta }, { progress, touch, ask }) {
  switch (name) {
    case 'echo':
      return said(args.text);
    case 'add':
      return said(String(args.a + args.b));
    case 'count':
      for (const done of [0, 50, 100]) {
        if (_meta?.progressToken !== undefined) {
          await progress({ progressToken: _meta.progressToken, progress: done, total: 100 });
        }
      }
      await setTimeout(PAUSE);
      return said('All steps are done.');
    case 'ask': {
      const { answer, result } = await ask(args.question);
      return result ?? said(answer.action === 'accept' ? answer.content.answer : `nobody (${answer.action})`);
    }
    case 'touch':
      await touch();
      return said('The change was announced.');
    default:
      throw new Error(`there is no tool called ${name}`);
  }
}

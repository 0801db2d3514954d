// A server of both eras, or of the modern one, on the TypeScript SDK 2.x: node ts2_server.mjs PACKAGES both|modern

import { ask, describe, read, RESOURCES, TOOLS, WATCHED } from './server.mjs';
import { packagesFrom } from '../servers/check.mjs';

const [packages, eras] = process.argv.slice(2);
const load = packagesFrom(packages);
const { Server, inputRequired } = load('@modelcontextprotocol/server');
const { serveStdio } = load('@modelcontextprotocol/server/stdio');

function create({ era }) {
  const capabilities = { tools: {}, resources: { subscribe: true } };
  const server = new Server({ name: 'ts2-server', version: '1.0.0' }, { capabilities });
  // In the modern era the SDK keeps the subscriptions.
  const subscribed = new Set(era === 'modern' ? [WATCHED] : []);

  server.setRequestHandler('tools/list', () => ({ tools: TOOLS }));
  server.setRequestHandler('resources/list', () => ({ resources: RESOURCES }));
  server.setRequestHandler('resources/read', ({ params }) => read(params.uri));
  if (era === 'legacy') {
    server.setRequestHandler('resources/subscribe', ({ params }) => (subscribed.add(params.uri), {}));
    server.setRequestHandler('resources/unsubscribe', ({ params }) => (subscribed.delete(params.uri), {}));
  }
  server.setRequestHandler('tools/call', ({ params }, context) =>
    describe({ ...params, _meta: context.mcpReq._meta }, {
      progress: (params) => context.mcpReq.notify({ method: 'notifications/progress', params }),
      touch: () => subscribed.has(WATCHED) && server.sendResourceUpdated({ uri: WATCHED }),
      // On a legacy connection the SDK turns the question into a request of its own and calls again.
      ask: (question) => {
        const answer = context.mcpReq.inputResponses?.answer;
        if (answer) return { answer };
        return { result: inputRequired({ inputRequests: { answer: inputRequired.elicit(ask(question)) } }) };
      },
    }),
  );
  return server;
}

serveStdio(create, { legacy: eras === 'modern' ? 'reject' : 'serve' });

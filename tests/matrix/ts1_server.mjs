// A legacy server on the TypeScript SDK 1.x: node ts1_server.mjs PACKAGES

import { ask, describe, read, RESOURCES, TOOLS, WATCHED } from './server.mjs';
import { packagesFrom } from '../servers/check.mjs';

const load = packagesFrom(process.argv[2]);
const { Server } = load('@modelcontextprotocol/sdk/server/index.js');
const { StdioServerTransport } = load('@modelcontextprotocol/sdk/server/stdio.js');
const types = load('@modelcontextprotocol/sdk/types.js');

const capabilities = { tools: {}, resources: { subscribe: true } };
const server = new Server({ name: 'ts1-server', version: '1.0.0' }, { capabilities });
const subscribed = new Set();

server.setRequestHandler(types.ListToolsRequestSchema, () => ({ tools: TOOLS }));
server.setRequestHandler(types.ListResourcesRequestSchema, () => ({ resources: RESOURCES }));
server.setRequestHandler(types.ReadResourceRequestSchema, ({ params }) => read(params.uri));
server.setRequestHandler(types.SubscribeRequestSchema, ({ params }) => (subscribed.add(params.uri), {}));
server.setRequestHandler(types.UnsubscribeRequestSchema, ({ params }) => (subscribed.delete(params.uri), {}));
server.setRequestHandler(types.CallToolRequestSchema, ({ params }, extra) =>
  describe(params, {
    progress: (params) => extra.sendNotification({ method: 'notifications/progress', params }),
    touch: () => subscribed.has(WATCHED) && server.sendResourceUpdated({ uri: WATCHED }),
    ask: async (question) => {
      const answer = await extra.sendRequest({ method: 'elicitation/create', params: ask(question) }, types.ElicitResultSchema);
      return { answer };
    },
  }),
);
await server.connect(new StdioServerTransport());

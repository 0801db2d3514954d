// A legacy client on the TypeScript SDK 1.x: node ts1_client.mjs PACKAGES legacy URL | COMMAND [ARGS…]

import assert from 'node:assert/strict';
import { ELICITED, first, transportTo, visit } from './client.mjs';
import { packagesFrom } from '../servers/check.mjs';

const [packages, mode, ...target] = process.argv.slice(2);
assert.equal(mode, 'legacy');
const load = packagesFrom(packages);
const { Client } = load('@modelcontextprotocol/sdk/client/index.js');
const { StdioClientTransport: Stdio } = load('@modelcontextprotocol/sdk/client/stdio.js');
const { StreamableHTTPClientTransport: Http } = load('@modelcontextprotocol/sdk/client/streamableHttp.js');
const types = load('@modelcontextprotocol/sdk/types.js');

const client = new Client({ name: 'matrix-ts1', version: '1.0.0' }, { capabilities: { elicitation: {} } });
client.setRequestHandler(types.ElicitRequestSchema, () => ELICITED);
await client.connect(transportTo(target, { Stdio, Http }));
const seen = await visit({
  client,
  call: (name, args, onprogress) => client.callTool({ name, arguments: args }, undefined, { onprogress }),
  watch: async (uri) => {
    const change = first();
    client.setNotificationHandler(types.ResourceUpdatedNotificationSchema, ({ params }) => change.put(params));
    await client.subscribeResource({ uri });
    return change.first;
  },
});
await client.close();
console.log(JSON.stringify({ client: 'ts1', era: 'legacy', ...seen }));

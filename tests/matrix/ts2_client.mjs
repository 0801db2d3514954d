// A client on the TypeScript SDK 2.x, of either era or of both: node ts2_client.mjs PACKAGES legacy|modern|dual URL | COMMAND [ARGS…]

import { ELICITED, first, transportTo, visit } from './client.mjs';
import { packagesFrom } from '../servers/check.mjs';

const [packages, mode, ...target] = process.argv.slice(2);
const load = packagesFrom(packages);
const { Client, StreamableHTTPClientTransport: Http } = load('@modelcontextprotocol/client');
const { StdioClientTransport: Stdio } = load('@modelcontextprotocol/client/stdio');

const modes = { legacy: 'legacy', modern: { pin: '2026-07-28' }, dual: 'auto' };
const options = { capabilities: { elicitation: {} }, versionNegotiation: { mode: modes[mode] } };
const client = new Client({ name: 'matrix-ts2', version: '1.0.0' }, options);
client.setRequestHandler('elicitation/create', () => ELICITED);
await client.connect(transportTo(target, { Stdio, Http }));
const version = client.getNegotiatedProtocolVersion();
const era = version >= '2026-07-28' ? 'modern' : 'legacy';
const seen = await visit({
  client,
  call: (name, args, onprogress) => client.callTool({ name, arguments: args }, { onprogress }),
  watch: async (uri) => {
    const change = first();
    client.setNotificationHandler('notifications/resources/updated', ({ params }) => change.put(params));
    if (era === 'modern') await client.listen({ resourceSubscriptions: [uri] });
    else await client.subscribeResource({ uri });
    return change.first;
  },
});
await client.close();
console.log(JSON.stringify({ client: 'ts2', era, ...seen }));

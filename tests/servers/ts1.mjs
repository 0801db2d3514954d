// The TypeScript SDK 1.x against a stdio server: node ts1.mjs PACKAGES SERVER [ARGS…]

import { check, packagesFrom } from './check.mjs';

const [packages, command, ...args] = process.argv.slice(2);
const load = packagesFrom(packages);
const { Client } = load('@modelcontextprotocol/sdk/client/index.js');
const { StdioClientTransport } = load('@modelcontextprotocol/sdk/client/stdio.js');

const client = new Client({ name: 'sdk-test', version: '1.0.0' });
await client.connect(new StdioClientTransport({ command, args }));
const seen = await check(client);
await client.close();
console.log(`ok ts1 legacy: ${seen}`);

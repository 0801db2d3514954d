// The TypeScript client 2.x against a stdio server, in every way it can open one: node ts2.mjs PACKAGES SERVER [ARGS…]

import assert from 'node:assert/strict';
import { check, packagesFrom } from './check.mjs';

const [packages, command, ...args] = process.argv.slice(2);
const load = packagesFrom(packages);
const { Client } = load('@modelcontextprotocol/client');
const { StdioClientTransport } = load('@modelcontextprotocol/client/stdio');

const seen = [];
for (const [mode, version] of [['legacy', '2025-11-25'], ['auto', '2026-07-28'], [{ pin: '2026-07-28' }, '2026-07-28']]) {
  const client = new Client({ name: 'sdk-test', version: '1.0.0' }, { versionNegotiation: { mode } });
  await client.connect(new StdioClientTransport({ command, args }));
  assert.equal(client.getNegotiatedProtocolVersion(), version);
  seen.push(`${mode.pin ?? mode}: ${await check(client)}`);
  await client.close();
}
console.log(`ok ts2 ${seen.join('; ')}`);

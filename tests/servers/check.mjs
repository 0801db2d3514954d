// What every TypeScript client has to see, whichever SDK it is. `client` is connected; the caller closes it.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

const cases = JSON.parse(readFileSync(new URL('cases.json', import.meta.url), 'utf8'));

export async function check(client) {
  assert.equal(client.getServerVersion()?.name, cases.server);
  const { tools } = await client.listTools();
  assert.deepEqual(tools.map((tool) => tool.name), cases.tools);
  for (const tool of tools) {
    assert.equal(tool.annotations?.readOnlyHint, true, `${tool.name} is read-only`);
    assert.equal(tool.outputSchema?.type, 'object', `${tool.name} has an output schema`);
  }

  // Since the tools were listed, the SDK checks each structured result against the output schema.
  for (const { tool, arguments: args, structured } of cases.calls) {
    const result = await client.callTool({ name: tool, arguments: args });
    assert.ok(!result.isError, `${tool}: ${JSON.stringify(result)}`);
    assert.deepEqual(result.structuredContent, structured);
    assert.deepEqual(JSON.parse(result.content[0].text), structured);
  }
  for (const { tool, arguments: args, says } of cases.refused) {
    const result = await client.callTool({ name: tool, arguments: args });
    assert.equal(result.isError, true, `${tool} ${JSON.stringify(args)}`);
    assert.ok(result.content[0].text.includes(says), result.content[0].text);
  }
  await assert.rejects(client.callTool({ name: 'root', arguments: {} }), (error) => error.code === -32602);
  return `${tools.length} tools, ${cases.calls.length} calls, ${cases.refused.length} refusals`;
}

// Packages are installed in a folder of their own, far from this script: resolve them from there.
export function packagesFrom(folder) {
  return createRequire(`${folder}/package.json`);
}

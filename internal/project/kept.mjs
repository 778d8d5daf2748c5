// Keeps asc loaded for the builds that follow: loading it takes longer than to compile a plugin. Each line that comes in is the arguments of
// one build as JSON, and one line of JSON goes out.
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";

const { main } = await import(pathToFileURL(process.argv[2]));
for await (const line of createInterface({ input: process.stdin })) {
  let output = "";
  const sink = { write(text) { output += text; return true; } };
  const { error } = await main(JSON.parse(line), { stdout: sink, stderr: sink });
  process.stdout.write(JSON.stringify({ failed: error !== null, output }) + "\n");
}

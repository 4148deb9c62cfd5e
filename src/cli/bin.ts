#!/usr/bin/env node
// The first thing that runs: it must be readable by a Node that is too old, and say so in one line.
const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);

if (major < 22 || (major === 22 && minor < 22)) {
  process.stderr.write(`fairlead needs Node 22.22 or newer, this is Node ${process.versions.node}\n`);
  process.exitCode = 2;
} else {
  void import("./main.ts").then(({ main }) => main(process.argv.slice(2)));
}

#!/usr/bin/env node
// The entry. It imports nothing before it has looked at the version, and its syntax is old on purpose: on an older
// Node the rest would end in a stack trace about something else, this ends in one line that says what to do.
const needed = 24;
const found = process.versions.node;

if (Number(found.split('.')[0]) < needed) {
  console.error(
    `evenkeel needs Node ${needed} or newer, this is ${found} (${process.execPath}). Install it from https://nodejs.org/ and try again.`,
  );
  process.exitCode = 1;
} else {
  import('./program.ts').then(
    (program) => program.main(process.argv),
    (error) => {
      console.error(`evenkeel cannot load its own files: ${error.message}. Install it again (npm ci in a checkout).`);
      process.exitCode = 1;
    },
  );
}

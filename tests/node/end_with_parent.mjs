// Loaded before any server of the tests: it ends when the tests do, however they end.
process.stdin.on('end', () => process.exit(0));
process.stdin.on('error', () => process.exit(0));
process.stdin.resume();

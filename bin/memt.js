#!/usr/bin/env node
// Plain old JavaScript on purpose: an old Node must reach the sentence below instead of a SyntaxError.
var wanted = [20, 19];
var have = process.versions.node.split('.').map(Number);
if (have[0] < wanted[0] || (have[0] === wanted[0] && have[1] < wanted[1])) {
  console.error(
    'memt needs Node ' +
      wanted.join('.') +
      ' or newer; this is ' +
      process.version +
      ' (' +
      process.execPath +
      ').\n' +
      'Mend: install a newer Node (https://nodejs.org), or switch with your version manager, and run the command again.',
  );
  process.exit(78);
} else if (process.platform === 'win32') {
  console.error('memt runs on Linux and macOS. On Windows use it inside WSL 2.');
  process.exit(78);
} else {
  import('../dist/src/cli/main.js').then(
    function (cli) {
      return cli.main(process.argv.slice(2));
    },
    function (error) {
      if (error && error.code === 'ERR_MODULE_NOT_FOUND' && /dist/.test(String(error.message))) {
        console.error('memt is not built or not installed completely: ' + error.message + '\nMend: npm ci');
        process.exit(78);
      }
      throw error;
    },
  );
}

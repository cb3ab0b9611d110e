// npm start: installs, builds and runs the main job on embedded defaults. With `-- --once` it exits at the end.
import { spawn } from 'node:child_process';
import { build, installDependencies, root } from './prepare.mjs';
import { checkNode, ensurePrograms, OPTIONAL_PROGRAMS, offerPrograms, RUN_PROGRAMS } from './requirements.mjs';

checkNode();
await ensurePrograms(RUN_PROGRAMS);
await offerPrograms(OPTIONAL_PROGRAMS);
installDependencies();
build({ types: false });

const child = spawn(process.execPath, ['examples/main-job/dist/main.js', ...process.argv.slice(2)], { cwd: root, stdio: 'inherit' });
// A Ctrl-C reaches the child by itself: it ends cleanly, and then so does this.
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => signal === 'SIGTERM' && child.kill(signal));
child.on('exit', (code, signal) => process.exit(code ?? (signal === 'SIGINT' ? 130 : 1)));

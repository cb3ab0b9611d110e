import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { parseArgs } from 'node:util';
import { type Lab, openLab, takeDownLab } from './lab.js';
import { bringUp, describeLab, runServices } from './lab-up.js';

const USAGE = `lab: real hosts and what pipit works with, on this machine (as root)

  lab up                 6 hosts (2 canary, 4 production), a build, a repository and a balancer host, Consul, Jenkins, a git server
  lab down               takes all of it down, whatever is left of it
  lab status             what is there and how it fares
  lab stop HOST          shuts a host down          lab start HOST   starts it again
  lab cut HOST           pulls its network cable    lab heal HOST    puts it in again
  lab ssh HOST [COMMAND] logs in as root

  --folder PATH      where the lab is kept; default $PIPIT_LAB_FOLDER or /var/tmp/pipit-lab
  --canaries N  --production N       with up: how many hosts
  --hook URL         with up: who is told of pushes, in GitHub's form; the secret is printed
  --no-jenkins       with up
`;

const options = {
  folder: { type: 'string' },
  canaries: { type: 'string' },
  production: { type: 'string' },
  hook: { type: 'string' },
  'no-jenkins': { type: 'boolean' },
  help: { type: 'boolean', short: 'h' },
} as const;

const requireLab = async (folder: string): Promise<Lab> => {
  const lab = await openLab(folder);
  if (lab === undefined) throw new Error(`No lab is up in ${folder}: lab up`);
  return lab;
};

const logIn = async (lab: Lab, name: string, command: readonly string[]): Promise<number> => {
  lab.host(name);
  const child = spawn('ssh', ['-F', lab.sshConfigFile, name, ...command], { stdio: 'inherit' });
  const [code] = (await once(child, 'exit')) as [number | null];
  return code ?? 255;
};

const count = (text: string | undefined, otherwise: number): number => {
  const number = text === undefined ? otherwise : Number(text);
  if (!Number.isInteger(number) || number < 1 || number > 100) throw new Error(`Not a number of hosts: ${text}`);
  return number;
};

const run = async (argv: readonly string[]): Promise<number> => {
  // What stands after the host belongs to the command there.
  const at = argv.indexOf('ssh');
  const own = at >= 0 ? argv.slice(0, at + 2) : argv;
  const { values, positionals } = parseArgs({ args: [...own], options, allowPositionals: true });
  const [command, name] = positionals;
  const folder = values.folder ?? (process.env.PIPIT_LAB_FOLDER || '/var/tmp/pipit-lab');
  if (values.help || command === undefined) {
    process.stdout.write(USAGE);
    return values.help ? 0 : 2;
  }
  const say = (text: string) => process.stdout.write(`${text}\n`);
  switch (command) {
    case 'up':
      await bringUp({
        folder,
        say,
        jenkins: values['no-jenkins'] !== true,
        canaries: count(values.canaries, 2),
        production: count(values.production, 4),
        ...(values.hook !== undefined && { hook: values.hook }),
      });
      return 0;
    case 'services':
      return runServices(folder);
    case 'down':
      await takeDownLab(folder);
      say('Nothing of the lab is left.');
      return 0;
    case 'status':
      say(await describeLab(await requireLab(folder)));
      return 0;
    case 'stop':
    case 'start':
    case 'cut':
    case 'heal': {
      if (name === undefined) throw new Error(`lab ${command} HOST`);
      const lab = await requireLab(folder);
      await lab.host(name)[command]();
      say(await describeLab(lab));
      return 0;
    }
    case 'ssh':
      if (name === undefined) throw new Error('lab ssh HOST [COMMAND]');
      return logIn(await requireLab(folder), name, argv.slice(at + 2));
    default:
      process.stderr.write(`lab: no command ${command}\n\n${USAGE}`);
      return 2;
  }
};

/** The `lab` command; returns its exit status. */
export const runLabCommand = async (argv: readonly string[]): Promise<number> => {
  try {
    return await run(argv);
  } catch (error) {
    process.stderr.write(`lab: ${error instanceof Error ? error.message : String(error)}\n`);
    return 1;
  }
};

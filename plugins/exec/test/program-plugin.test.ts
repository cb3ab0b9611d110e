import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type AnyPlugin, createSecret, type GateRequest, type HookRequest, isSecret, type Op, type PackageRequest } from '@pipit/core';
import {
  createMemoryFileStore,
  createTemporaryFolder,
  createTestCall,
  createTestOp,
  createTestSetup,
  createTestShell,
  createTestSource,
} from '@pipit/plugin-testing';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { createProgramPlugin } from '../src/index.js';
import { described, gate, program, putProgram } from './sample-program.js';

vi.setConfig({ testTimeout: 120_000 });

const load = async (text: string): Promise<{ readonly plugin: AnyPlugin; readonly path: string }> => {
  const { path, folder } = await putProgram(text);
  onTestFinished(() => folder.remove());
  return { plugin: await createProgramPlugin(path), path };
};

const newFolder = async (): Promise<string> => {
  const folder = await createTemporaryFolder();
  onTestFinished(() => folder.remove());
  return folder.path;
};

const setUp = async (text: string, config: unknown = {}) => {
  const { plugin, path } = await load(text);
  const folder = await newFolder();
  return { instance: await plugin.setup(config, createTestSetup({ folder, instance: 'mine' })), path, folder };
};

const judgeRequest = { reason: 'asked' } as unknown as GateRequest<unknown>; // the sample programs look at none of it
const pass = { verdict: 'pass', reason: 'fine', measurements: [] };

const judge = async (body: string, options: Parameters<typeof createTestCall>[0] = {}) => {
  const { instance, path, folder } = await setUp(described(gate, body));
  const call = createTestCall(options);
  return { judgement: instance.gate?.judge(judgeRequest, call), call, path, folder };
};

describe('the description of a program', () => {
  it.each([
    ['nothing', program(''), 'EXEC_ANSWER_INVALID', 'nothing to standard output'],
    ['no JSON', program('console.log("hello")'), 'EXEC_ANSWER_INVALID', 'not one JSON value'],
    ['another protocol', described({ ...gate, protocol: 2 }), 'EXEC_ANSWER_INVALID', 'protocol'],
    ['no kind', described({ kinds: {} }), 'EXEC_ANSWER_INVALID', 'it names no kind'],
    ['a transport', described({ kinds: { transport: { version: 1, methods: ['connect'] } } }), 'EXEC_ANSWER_INVALID', 'transport'],
    ['an unknown method', described({ kinds: { gate: { version: 1, methods: ['judge', 'jugde'] } } }), 'EXEC_ANSWER_INVALID', 'jugde'],
    ['a missing method', described({ kinds: { ci: { version: 1, methods: ['start'] } } }), 'EXEC_ANSWER_INVALID', 'find is missing'],
    ['no formats', described({ kinds: { packager: { version: 1, methods: ['package'] } } }), 'EXEC_ANSWER_INVALID', 'formats'],
    ['a broken schema', described({ ...gate, config: { type: 'object', required: 3 } }), 'EXEC_ANSWER_INVALID', 'no JSON Schema'],
    ['an exit', program('console.error("boom"); process.exit(3)'), 'EXEC_PROGRAM_FAILED', 'exited 3 in describe: boom'],
  ])('is refused when it is %s', async (_name, text, code, words) => {
    await expect(load(text)).rejects.toMatchObject({ code, recovery: 'stop', message: expect.stringContaining(words) });
  });

  it('needs a program that is there and executable', async () => {
    const { path, folder } = await putProgram('');
    onTestFinished(() => folder.remove());
    await expect(createProgramPlugin(`${path}-gone`)).rejects.toMatchObject({ code: 'EXEC_PROGRAM_MISSING' });
    const { chmod } = await import('node:fs/promises');
    await chmod(path, 0o644);
    await expect(createProgramPlugin(path)).rejects.toMatchObject({ code: 'EXEC_PROGRAM_NOT_EXECUTABLE' });
  });

  it('gives schemas that fill in defaults, find mistakes and keep secrets', async () => {
    const config = {
      type: 'object',
      properties: { url: { type: 'string' }, retries: { type: 'integer', default: 3 }, token: { type: 'string', writeOnly: true } },
      required: ['url'],
      additionalProperties: false,
    };
    const { plugin } = await load(described({ ...gate, config }));
    const validate = async (value: unknown) => plugin.config['~standard'].validate(value);
    const good = await validate({ url: 'x', token: 't0ken' });
    expect(JSON.stringify(good)).toBe('{"value":{"url":"x","token":"[secret]","retries":3}}');
    expect(isSecret((good as { value: { token: unknown } }).value.token)).toBe(true);
    expect((await validate({ retries: 'x', other: 1 })).issues?.map(({ message, path }) => `${path?.join('.')}: ${message}`)).toEqual([
      ": must have required property 'url'",
      ': has an unknown key "other"',
      'retries: must be integer',
    ]);
  });
});

describe('a call of a program', () => {
  it('hands over the request, and secrets only on standard input', async () => {
    const body = `
      const seen = readFileSync('/proc/self/cmdline', 'utf8') + readFileSync('/proc/self/environ', 'utf8');
      if (seen.includes('t0ken')) refuse({ code: 'LEAKED', message: 'leaked', recovery: 'stop' });
      else answer({ verdict: 'pass', reason: JSON.stringify([args, request, Object.keys(process.env).sort()]), measurements: [] })`;
    const { instance, folder } = await setUp(described(gate, body), { token: createSecret('t0ken') });
    const judgement = await instance.gate?.judge(judgeRequest, createTestCall());
    const [args, request, environment] = JSON.parse(judgement?.reason ?? '') as [unknown, Record<string, unknown>, readonly string[]];
    expect(args).toEqual(['gate', 'judge']);
    expect(request).toMatchObject({
      protocol: 1,
      kind: 'gate',
      method: 'judge',
      instance: 'mine',
      hookUrl: expect.stringContaining('/hooks/'),
      config: { token: 't0ken' },
      request: { reason: 'asked' },
      paths: { folder: expect.stringContaining(folder) },
      deadline: expect.stringMatching(/^\d{4}-.*Z$/),
    });
    expect(environment.filter((name) => !['HOME', 'LANG', 'PATH', 'PWD', 'OLDPWD', 'SHLVL', '_'].includes(name))).toEqual([]);
    expect(await readdir(join(folder, 'calls'))).toEqual([]);
  });

  it('gives the error that the program answers', async () => {
    const { judgement } = await judge(`refuse({ code: 'MY_GATE_DOWN', message: 'No data', hint: 'Start it', recovery: 'retry' })`);
    await expect(judgement).rejects.toMatchObject({
      code: 'MY_GATE_DOWN',
      recovery: 'retry',
      hint: 'Start it',
      message: expect.stringMatching(/^No data \(.*program, gate\.judge\)$/),
    });
  });

  it.each([
    [
      'a field of another type',
      `answer({ ...${JSON.stringify(pass)}, reason: 1 })`,
      'EXEC_ANSWER_INVALID',
      /program gave an answer to gate\.judge .* reason: /,
    ],
    ['an unknown field', `answer({ ...${JSON.stringify(pass)}, score: 1 })`, 'EXEC_ANSWER_INVALID', /score/],
    ['no envelope', `print(${JSON.stringify(pass)})`, 'EXEC_ANSWER_INVALID', /"ok"/],
    ['two values', `answer(1); answer(2)`, 'EXEC_ANSWER_INVALID', /not one JSON value/],
    ['too much', `process.stdout.write('x'.repeat(9 * 1024 * 1024))`, 'EXEC_ANSWER_TOO_LARGE', /8388608 bytes/],
    ['an exit', `console.error('one\\ntwo'); process.exit(2)`, 'EXEC_PROGRAM_FAILED', /exited 2 in gate\.judge: one \/ two/],
  ])('names program, call and field of a bad answer: %s', async (_name, body, code, message) => {
    const { judgement } = await judge(body);
    await expect(judgement).rejects.toMatchObject({ code, message: expect.stringMatching(message) });
  });

  it('ends the program and what it started at its deadline', async () => {
    const folder = await newFolder();
    const body = `const child = spawn('sleep', ['600']); writeFileSync('${folder}/pid', String(child.pid)); setInterval(() => {}, 1000)`;
    const { judgement } = await judge(body, { timeoutMs: 5_000 });
    await expect(judgement).rejects.toMatchObject({ code: expect.stringMatching(/^(EXEC_TIMED_OUT|COMMAND_ABORTED)$/) });
    const pid = Number(await readFile(join(folder, 'pid'), 'utf8'));
    await expect.poll(() => isRunning(pid), { timeout: 15_000 }).toBe(false);
  });

  it('ends the program when it is cancelled', async () => {
    const folder = await newFolder();
    const controller = new AbortController();
    const { judgement } = await judge(`writeFileSync('${folder}/pid', String(process.pid)); setInterval(() => {}, 1000)`, {
      signal: controller.signal,
    });
    const refused = expect(judgement).rejects.toMatchObject({ code: 'COMMAND_ABORTED' });
    await expect.poll(() => readFile(join(folder, 'pid'), 'utf8').catch(() => ''), { timeout: 30_000 }).not.toBe('');
    controller.abort();
    await refused;
    const pid = Number(await readFile(join(folder, 'pid'), 'utf8'));
    await expect.poll(() => isRunning(pid), { timeout: 15_000 }).toBe(false);
  });

  it('shows what it says on standard error as log and progress', async () => {
    const notifier = { kinds: { notifier: { version: 1, methods: ['notify'] } } };
    const { instance } = await setUp(described(notifier, `console.error('plain'); console.error('::progress 0.5 half'); answer('42')`));
    const op = createTestOp({});
    const request = { notice: {}, options: {} } as unknown as Parameters<NonNullable<typeof instance.notifier>['notify']>[0]; // the sample looks at none of it
    expect(await instance.notifier?.notify(request, op)).toBe('42');
    expect(op.progress).toEqual([{ message: 'half', fraction: 0.5 }]);
    expect(op.logger.records.map(({ fields }) => (fields as { line?: string }).line)).toEqual(['plain', '::progress 0.5 half']);
  });
});

const isRunning = async (pid: number): Promise<boolean> => {
  const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '');
  return status !== '' && !/^State:\s*Z/m.test(status);
};

it('keeps the credentials that a program answers as secrets', async () => {
  const trigger = { kinds: { trigger: { version: 1, methods: ['access'] } } };
  const { instance } = await setUp(described(trigger, `answer({ username: 'git', password: 'pa55word' })`));
  const access = await instance.trigger?.access?.({ id: '1', name: 'acme/web', url: 'https://example.org/web' }, createTestCall());
  expect(JSON.stringify(access)).toBe('{"username":"git","password":"[secret]"}');
  expect(access !== undefined && 'password' in access && access.password.reveal()).toBe('pa55word');
});

describe('files of a call', () => {
  const packager = { kinds: { packager: { version: 1, methods: ['package'], formats: ['deb'] } } };

  const pack = async (body: string) => {
    const { instance } = await setUp(described(packager, body));
    const source = await createTestSource({ files: { 'bin/web': 'from git' } });
    onTestFinished(() => source.remove());
    const files = createMemoryFileStore();
    const outputs = [{ path: 'opt/web/server', file: files.putBytes('from CI') }];
    const op: Op<'shell' | 'source' | 'files'> = createTestOp({ shell: createTestShell(await newFolder()), source, files });
    const request = { app: 'web', version: '1.0-1', outputs, options: {} } as unknown as PackageRequest<unknown>; // what this sample needs
    return { artifacts: instance.packager?.package(request, op), files };
  };

  it('lie in its folder, and what it names is measured by pipit', async () => {
    const { artifacts, files } = await pack(
      `const text = readFileSync(request.paths.source + '/bin/web') + ', ' + readFileSync(request.paths.outputs + '/opt/web/server');
       writeFileSync('web.deb', text); answer([{ format: 'deb', architecture: 'all', file: 'web.deb' }])`,
    );
    const [artifact] = (await artifacts) ?? [];
    const content = artifact?.content;
    expect(artifact).toMatchObject({ format: 'deb', name: 'web', version: '1.0-1', architecture: 'all' });
    if (content === undefined || !('sha256' in content)) return expect.fail('no file');
    expect(artifact?.digest).toBe(content.sha256);
    expect(Buffer.from(await files.readBytes(content)).toString()).toBe('from git, from CI');
  });

  it.each([
    ['a path out of it', `'../x'`, 'EXEC_ANSWER_INVALID'],
    ['an absolute path', `'/etc/passwd'`, 'EXEC_ANSWER_INVALID'],
    ['a file that is not there', `'gone'`, 'EXEC_FILE_MISSING'],
  ])('are refused: %s', async (_name, file, code) => {
    const { artifacts } = await pack(`answer([{ format: 'deb', architecture: 'all', file: ${file} }])`);
    await expect(artifacts).rejects.toMatchObject({ code, recovery: 'stop' });
  });
});

describe('hooks of a program', () => {
  const trigger = { kinds: { trigger: { version: 1, methods: ['poll'] } }, hooks: ['receive', 'checkHealth'] };

  it('get the raw bytes, and say what a delivery means', async () => {
    const body = `answer(Buffer.from(request.request.body, 'base64').length === 4
      ? { accepted: [] } : { refused: 'no signature', code: 'MY_SIGNATURE_MISSING', status: 401 })`;
    const { instance } = await setUp(described(trigger, body));
    const deliver = (bytes: Uint8Array) => {
      const request: HookRequest = { method: 'POST', query: {}, headers: { a: 'b' }, body: bytes, remoteAddress: '127.0.0.1' };
      return instance.receive?.(request, createTestCall());
    };
    expect(await deliver(new Uint8Array([0, 255, 10, 13]))).toEqual({ accepted: [] });
    expect(await deliver(new Uint8Array([1]))).toEqual({ refused: 'no signature', code: 'MY_SIGNATURE_MISSING', status: 401 });
  });

  it('show a program that fails as a finding of the doctor', async () => {
    const { instance } = await setUp(described(trigger, 'process.exit(1)'));
    expect(await instance.checkHealth?.(createTestCall())).toEqual([
      { name: 'sample', ok: false, detail: expect.stringContaining('exited 1'), hint: expect.any(String) },
    ]);
  });
});

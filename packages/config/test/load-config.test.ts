import { isSecret } from '@pipit/core';
import { describe, expect, it } from 'vitest';
import { configJsonSchema, formatProblems } from '../src/index.js';
import { jenkins, load, local, minimal, places } from './sample-plugins.js';

const loaded = async (text: string, overrides: Parameters<typeof load>[1] = {}) => {
  const result = await load(text, overrides);
  if (!result.ok) throw new Error(formatProblems(result.problems));
  return result;
};

describe('defaults', () => {
  it('gives a pipeline of seven names everything else', async () => {
    const { config, warnings } = await loaded(minimal());
    expect(warnings).toEqual([]);
    expect(config).toEqual({
      version: 1,
      file: '/etc/pipit/pipit.yaml',
      server: { host: '127.0.0.1', port: 7420, hosts: [], trustedProxies: [], metrics: { allow: [] }, public: [] },
      database: { giveUpAfterMs: 900_000 },
      maxFileBytes: 2 * 1024 ** 3,
      audit: { every: 60_000 },
      sandbox: {
        readable: [],
        network: 'outbound',
        allow: [],
        limits: { memory: 2 * 1024 ** 3, tasks: 1024, cpu: 2, disk: 10 * 1024 ** 3, files: 1_000_000, fileSize: 4 * 1024 ** 3 },
      },
      trustRepositories: false,
      plugins: { local: { uses: '@pipit/plugin-local', plugin: local, config: {} } },
      pipelines: {
        web: {
          name: 'web',
          repositories: ['acme/*'],
          trigger: { use: 'local', options: {} },
          ci: { use: 'local', options: {} },
          packager: { use: 'local', options: {} },
          repository: { use: 'local', options: {} },
          discovery: { use: 'local', options: {} },
          advertiser: { use: 'local', options: {} },
          deployer: { use: 'local', options: {} },
          notify: [],
          patienceMs: 900_000,
          role: 'app',
          rings: [
            { name: 'canary', bakeMs: 0, promotion: 'automatic', onFailure: 'rollback' },
            { name: 'production', bakeMs: 0, promotion: 'manual', onFailure: 'rollback' },
          ],
          apps: {},
        },
      },
      source: {
        pipelines: {
          web: {
            repositories: ['acme/*'],
            trigger: 'local',
            ci: 'local',
            packager: 'local',
            repository: 'local',
            discovery: 'local',
            deployer: 'local',
          },
        },
      },
    });
  });

  it('reads every key', async () => {
    const lines = [
      'role: api',
      'rings:',
      '  - { name: canary, bake: 30m, minHealthy: 2 }',
      '  - { name: early, minHealthy: 50%, promotion: automatic, onFailure: stop }',
      '  - name: production',
      'health: { type: http, port: 8080 }',
      'apps:',
      '  shop: { role: web, health: { type: command, argv: [systemctl, is-active, shop], within: 1m } }',
    ];
    const { config } = await loaded(
      `dataFolder: data\nserver: { host: "::1", port: 0, publicUrl: https://pipit.example.org }\n${minimal(lines)}`,
    );
    const web = config.pipelines.web;
    expect(config.dataFolder).toBe('/etc/pipit/data');
    expect(config.server).toMatchObject({ host: '::1', port: 0, publicUrl: 'https://pipit.example.org' });
    expect(web?.role).toBe('api');
    expect(web?.rings).toEqual([
      { name: 'canary', bakeMs: 1_800_000, minHealthy: { hosts: 2 }, promotion: 'automatic', onFailure: 'rollback' },
      { name: 'early', bakeMs: 0, minHealthy: { share: 0.5 }, promotion: 'automatic', onFailure: 'stop' },
      { name: 'production', bakeMs: 0, promotion: 'manual', onFailure: 'rollback' },
    ]);
    expect(web?.health).toEqual({ type: 'http', port: 8080, path: '/', withinMs: 30_000 });
    expect(web?.apps).toEqual({
      shop: { role: 'web', health: { type: 'command', argv: ['systemctl', 'is-active', 'shop'], withinMs: 60_000 } },
    });
  });

  it('is frozen all the way down, and leaves the plugin as it is', async () => {
    const { config } = await loaded(minimal());
    expect(Object.isFrozen(config.pipelines.web?.rings[0])).toBe(true);
    expect(Object.isFrozen(config.plugins.local?.config)).toBe(true);
    expect(Object.isFrozen(local)).toBe(false);
    expect(config.plugins.constructor).toBeUndefined();
  });

  it('follows anchors, aliases and merge keys', async () => {
    const text = `${minimal(['health: &check { type: tcp, port: 80 }', 'apps: { shop: { health: { <<: *check, port: 81 } }, blog: { health: *check } }'])}`;
    const { config } = await loaded(text);
    expect(config.pipelines.web?.apps.shop?.health).toEqual({ type: 'tcp', port: 81, withinMs: 30_000 });
    expect(config.pipelines.web?.apps.blog?.health).toEqual({ type: 'tcp', port: 80, withinMs: 30_000 });
  });
});

const withJenkins = (config: readonly string[], ci = '{ use: jenkins-main, with: { job: web } }'): string =>
  [
    'plugins:',
    '  jenkins-main:',
    '    uses: "@pipit/plugin-jenkins"',
    '    with:',
    ...config.map((line) => `      ${line}`),
    minimal().replace('ci: local', `ci: ${ci}`),
  ].join('\n');

describe('references', () => {
  it('resolves a variable and a file, registers both for redaction and keeps them out of JSON', async () => {
    const redacted: string[] = [];
    const text = withJenkins(['url: { $env: CI_URL }', 'token: { $file: secrets/token }']);
    const { config } = await loaded(text, {
      environment: { CI_URL: 'https://ci.example.org' },
      readFile: (path) => (path === '/etc/pipit/secrets/token' ? 'very-secret-token\n' : Promise.reject(new Error(path))),
      redact: (secret) => redacted.push(secret),
    });
    const made = config.plugins['jenkins-main']?.config;
    if (typeof made !== 'object' || made === null || !('token' in made) || !isSecret(made.token)) throw new Error('No token');
    expect(made.token.reveal()).toBe('very-secret-token');
    expect(redacted).toEqual(['https://ci.example.org', 'very-secret-token']);
    expect(JSON.stringify(config)).not.toContain('very-secret-token');
    expect(JSON.stringify(config.plugins)).not.toContain('very-secret-token');
    expect(JSON.parse(JSON.stringify(config))).toEqual(config.source);
    expect(config.source).toMatchObject({ plugins: { 'jenkins-main': { with: { token: { $file: 'secrets/token' } } } } });
  });

  it('reports what is missing at its place, and nothing that only follows from it', async () => {
    const text = withJenkins(['url: { $env: CI_URL }', 'token: { $file: token }', 'tls: { ca: { $env: CA, x: 1 }, key: { $env: EMPTY } }']);
    expect(await places(text, { environment: { EMPTY: '' } })).toEqual([
      '5:12 REFERENCE_ENV_MISSING plugins.jenkins-main.with.url',
      '6:14 REFERENCE_FILE_UNREADABLE plugins.jenkins-main.with.token',
      '7:18 REFERENCE_MALFORMED plugins.jenkins-main.with.tls.ca',
      '7:43 REFERENCE_ENV_MISSING plugins.jenkins-main.with.tls.key',
    ]);
  });

  it('does not take a variable from the prototype of the environment', async () => {
    expect(await places(withJenkins(['url: https://ci.example.org', 'token: { $env: constructor }']))).toEqual([
      '6:14 REFERENCE_ENV_MISSING plugins.jenkins-main.with.token',
    ]);
  });
});

describe('secrets', () => {
  it('refuses a secret that stands in the file, wherever the schema has one', async () => {
    const text = withJenkins(['url: https://ci.example.org', 'token: { $env: TOKEN }', 'tls: { key: literal-private-key }']);
    const redacted: string[] = [];
    const result = await load(`database: { url: "postgres://pipit:pass@db/pipit" }\n${text}`, {
      environment: { TOKEN: 'from-the-environment' },
      redact: (secret) => redacted.push(secret),
    });
    if (result.ok) throw new Error('The config was accepted');
    expect(result.problems.map(({ line, column, code, path }) => [line, column, code, path])).toEqual([
      [1, 18, 'SECRET_IN_CONFIG', 'database.url'],
      [8, 19, 'SECRET_IN_CONFIG', 'plugins.jenkins-main.with.tls.key'],
    ]);
    expect(redacted).toEqual(['from-the-environment', 'postgres://pipit:pass@db/pipit', 'literal-private-key']);
    const shown = formatProblems(result.problems);
    for (const secret of [...redacted, 'pass@db']) expect(shown).not.toContain(secret);
    expect(shown).toContain('1 | database: { url: *** }');
  });

  it('never repeats a value of a plugin, resolved or not, in a problem or in the line it shows', async () => {
    const { createSecret, definePlugin } = await import('@pipit/core');
    const z = await import('zod');
    const careless = definePlugin({
      name: 'careless',
      config: z.strictObject({
        token: z.string().superRefine((token, context) => context.addIssue(`token ${token} is bad, ${JSON.stringify(token)}!`)),
        other: z.string().transform(createSecret).optional(),
      }),
      provides: { ci: { version: 1 } },
      setup: () => {
        throw new Error('never set up');
      },
    });
    const files: Record<string, string> = { '/etc/pipit/key': '-----BEGIN\nline two\n', '/etc/pipit/pin': '12' };
    const readFile = (path: string): string => files[path] ?? '';
    for (const token of ['{ $env: T }', '{ $file: key }', '{ $file: pin }', 'literal-token', '"quoted \\" token"']) {
      const text = `plugins: { c: { uses: careless, with: { token: ${token}, othr: misplaced-secret } } }\n${minimal()}`;
      const result = await load(text, {
        environment: { T: 'env-token' },
        readFile,
        loadPlugin: async (uses) => (uses === 'careless' ? careless : local),
      });
      if (result.ok) throw new Error('The config was accepted');
      const shown = formatProblems(result.problems) + JSON.stringify(result);
      expect(result.problems).toHaveLength(2);
      for (const secret of ['env-token', 'BEGIN', 'line two', 'token 12', '"12', 'literal-token', 'quoted', 'misplaced-secret'])
        expect(shown).not.toContain(secret);
    }
  });

  it('hides the value of a repeated, a misplaced and a misspelt key', async () => {
    const text =
      'plugins: { a: { uses: "@pipit/plugin-local", secret: hidden-1, with: { secret: { $env: A }, secret: hidden-2 } } }\ntoken: hidden-3\n';
    const result = await load(text);
    if (result.ok) throw new Error('The config was accepted');
    expect(result.problems.map((problem) => problem.code)).toEqual([
      'MISSING_KEY',
      'UNKNOWN_KEY',
      'REFERENCE_ENV_MISSING',
      'DUPLICATE_KEY',
      'UNKNOWN_KEY',
    ]);
    expect(formatProblems(result.problems)).not.toMatch(/hidden-\d/);
  });

  it('does not quote the file when it is no YAML', async () => {
    const result = await load('token: "hunter2 hunter2" "hunter2"\n- hunter2\n');
    if (result.ok) throw new Error('The config was accepted');
    expect(result.problems.map((problem) => problem.code)).toContain('CONFIG_SYNTAX');
    expect(formatProblems(result.problems)).not.toContain('hunter2');
  });
});

describe('problems', () => {
  it.each([
    ['an empty file', '', ['1:1 MISSING_KEY pipelines']],
    ['a list', '- a\n', ['1:1 WRONG_TYPE ']],
    ['no pipeline', 'pipelines: {}\n', ['1:12 INVALID_VALUE pipelines']],
    ['two documents', 'a: 1\n---\nb: 2\n', ['2:1 CONFIG_SYNTAX ']],
    ['a tab', 'pipelines:\n\tweb: 1\n', ['2:1 CONFIG_SYNTAX ']],
    ['a repeated key', `server: {}\n${minimal()}server: {}\n`, ['11:1 DUPLICATE_KEY server']],
    ['an alias without an anchor', `server: *nothing\n${minimal()}`, ['1:9 CONFIG_ALIAS server']],
    ['a key that is a list', `? [a]\n: 1\n${minimal()}`, ['1:3 KEY_NOT_ALLOWED ']],
    ['__proto__', `__proto__: 1\n${minimal()}`, ['1:1 KEY_NOT_ALLOWED ']],
    ['a missing slot', minimal().replace('    ci: local\n', ''), ['2:3 MISSING_KEY pipelines.web.ci']],
    ['a slot of another type', minimal().replace('ci: local', 'ci: 5'), ['5:9 WRONG_TYPE pipelines.web.ci']],
    ['a slot without use', minimal().replace('ci: local', 'ci: { with: {} }'), ['5:5 MISSING_KEY pipelines.web.ci.use']],
    ['a slot named as a package', minimal().replace('ci: local', 'ci: "@acme/ci"'), ['5:9 INVALID_VALUE pipelines.web.ci']],
    [
      'an instance name that is none',
      `plugins: { A b: { uses: x } }\n${minimal()}`,
      ['1:12 INVALID_VALUE plugins["A b"]', '1:25 PLUGIN_NOT_FOUND plugins["A b"].uses'],
    ],
    [
      'options for a kind without any',
      minimal().replace('packager: local', 'packager: { use: local, with: { a: 1, b: 2 } }'),
      ['6:37 UNKNOWN_KEY pipelines.web.packager.with.a', '6:43 UNKNOWN_KEY pipelines.web.packager.with.b'],
    ],
    [
      'an undeclared instance that needs a config',
      minimal().replace('ci: local', 'ci: jenkins'),
      ['5:5 MISSING_KEY pipelines.web.ci.url', '5:5 MISSING_KEY pipelines.web.ci.token', '5:5 MISSING_KEY pipelines.web.ci.with.job'],
    ],
    [
      'a discovery that cannot advertise',
      minimal().replace('discovery: local', 'discovery: inventory'),
      ['8:16 ADVERTISER_MISSING pipelines.web.discovery'],
    ],
    [
      'a place without a transport',
      minimal().replace('packager: local', 'packager: { use: local, on: { service: build } }'),
      ['6:33 TRANSPORT_MISSING pipelines.web.packager.on'],
    ],
    [
      'a place that is two',
      minimal(['transport: reach']).replace('ci: local', 'ci: { use: local, on: { service: build, host: build1 } }'),
      ['5:27 INVALID_VALUE pipelines.web.ci.on'],
    ],
    [
      'a place of what works nowhere else',
      minimal(['transport: reach']).replace('discovery: local', 'discovery: { use: local, on: { host: a } }'),
      ['8:30 UNKNOWN_KEY pipelines.web.discovery.on'],
    ],
    [
      'an address that is none',
      minimal(['transport: reach']).replace('ci: local', 'ci: { use: local, on: { host: -oProxyCommand=x } }'),
      ['5:35 INVALID_ADDRESS pipelines.web.ci.on.host'],
    ],
    ['a transport that is none', minimal(['transport: local']), ['10:16 SLOT_KIND_MISSING pipelines.web.transport']],
    ['no ring', minimal(['rings: []']), ['10:12 INVALID_VALUE pipelines.web.rings']],
    [
      'a promotion into the first ring',
      minimal(['rings: [{ name: canary, promotion: manual }]']),
      ['10:29 RING_FIRST_PROMOTION pipelines.web.rings[0].promotion'],
    ],
    ['two rings of one name', minimal(['rings: [{ name: a }, { name: a }]']), ['10:34 RING_DUPLICATE pipelines.web.rings[1].name']],
    ['a ring name that is none', minimal(['rings: [{ name: -x }]']), ['10:21 INVALID_RING pipelines.web.rings[0].name']],
    [
      'keys of later versions',
      minimal(['rings: [{ name: a, batch: 1, failureBudget: 1, gates: [], approval: {} }]']),
      [
        '10:24 KEY_NOT_YET pipelines.web.rings[0].batch',
        '10:34 KEY_NOT_YET pipelines.web.rings[0].failureBudget',
        '10:52 KEY_NOT_YET pipelines.web.rings[0].gates',
        '10:63 KEY_NOT_YET pipelines.web.rings[0].approval',
      ],
    ],
    [
      'nobody healthy',
      minimal(['rings: [{ name: a, minHealthy: 0 }, { name: b, minHealthy: 0% }]']),
      ['10:36 INVALID_VALUE pipelines.web.rings[0].minHealthy', '10:64 INVALID_VALUE pipelines.web.rings[1].minHealthy'],
    ],
    ['an app name that is none', minimal(['apps: { A/B: {} }']), ['10:13 INVALID_VALUE pipelines.web.apps["A/B"]']],
    ['a health check of no known type', minimal(['health: { type: htp }']), ['10:21 INVALID_VALUE pipelines.web.health.type']],
    ['a health check without a type', minimal(['health: { port: 1 }']), ['10:5 MISSING_KEY pipelines.web.health.type']],
    ['a rule that gives no bool', minimal([], '{ use: local, when: event.branch }'), ['4:34 RULE_INVALID pipelines.web.trigger.when']],
    [
      'a rule that is no expression',
      minimal([], "{ use: local, when: 'event.branch ==' }"),
      ['4:50 RULE_INVALID pipelines.web.trigger.when'],
    ],
    ['an unknown version', `version: 2\n${minimal()}`, ['1:10 INVALID_VALUE version']],
    ['no branch', minimal([], '{ use: local, branches: [] }'), ['4:38 INVALID_VALUE pipelines.web.trigger.branches']],
  ])('points at %s', async (_what, text, expected) => {
    expect(await places(text)).toEqual(expected);
  });

  it('says when the file cannot be read', async () => {
    const { loadConfig } = await import('../src/index.js');
    const { loadSample, noFile } = await import('./sample-plugins.js');
    const result = await loadConfig({ file: 'missing.yaml', environment: {}, readFile: noFile, loadPlugin: loadSample, redact: () => {} });
    expect(result).toEqual({
      ok: false,
      problems: [
        {
          file: 'missing.yaml',
          line: 1,
          column: 1,
          path: '',
          code: 'CONFIG_UNREADABLE',
          message: 'The config file cannot be read (ENOENT)',
          hint: 'Name another file, or write one with pipit init.',
        },
      ],
    });
  });

  it('suggests the instance that was meant', async () => {
    const result = await load(withJenkins(['url: https://ci.example.org', 'token: { $env: T }'], 'jenkins-mian'), {
      environment: { T: 'token' },
    });
    if (result.ok) throw new Error('The config was accepted');
    expect(result.problems[0]?.hint).toBe('Did you mean the instance "jenkins-main"?');
  });

  it('says that a plugin threw while it was loaded or while it validated', async () => {
    const thrower = {
      ...local,
      config: { '~standard': { ...local.config['~standard'], validate: () => Promise.reject(new RangeError('no')) } },
    };
    expect(await places(minimal(), { loadPlugin: () => Promise.reject(new Error('boom')) })).toEqual([
      '4:14 PLUGIN_LOAD_FAILED pipelines.web.trigger',
    ]);
    expect(await places(minimal(), { loadPlugin: async () => thrower })).toEqual(['4:14 PLUGIN_SCHEMA_FAILED pipelines.web.trigger']);
  });

  it('shows a line of the file with a caret, what was expected and what to do, and no terminal escapes', async () => {
    const result = await load(minimal(['rols: api', '"a\\u001b[31m": 1']));
    if (result.ok) throw new Error('The config was accepted');
    const shown = formatProblems(result.problems);
    expect(shown.split('\n\n')[0]).toBe(
      [
        '/etc/pipit/pipit.yaml:10:5 pipelines.web.rols: Key "rols" is not known here  [UNKNOWN_KEY]',
        '    10 |     rols: ***',
        '       |     ^',
        '    hint: Did you mean "role"?',
      ].join('\n'),
    );
    expect(shown).not.toContain('\u001b');
  });

  it('warns of a pipeline whose repositories an earlier one takes', async () => {
    const { warnings } = await loaded(
      minimal() + minimal().replace('pipelines:\n', '').replace('  web:', '  api:').replace('acme/*', 'acme/api'),
    );
    expect(warnings.map(({ line, column, code }) => [line, column, code])).toEqual([[11, 20, 'PIPELINE_SHADOWED']]);
  });
});

describe('places after loading', () => {
  it('locates what shows only after setup', async () => {
    const { checkCommonFormat, findCommonFormat } = await import('../src/index.js');
    const { config } = await loaded(minimal());
    expect(findCommonFormat({ packager: ['rpm', 'deb'], repository: ['deb', 'oci'], deployer: ['deb'] })).toBe('deb');
    expect(checkCommonFormat(config, 'web', { packager: ['deb'], repository: ['deb'], deployer: ['deb'] })).toBeUndefined();
    expect(checkCommonFormat(config, 'web', { packager: ['deb'], repository: ['rpm', 'oci'], deployer: ['deb'] })).toEqual({
      file: '/etc/pipit/pipit.yaml',
      line: 6,
      column: 15,
      path: 'pipelines.web.packager',
      code: 'FORMAT_MISMATCH',
      message: 'The packager makes deb, the repository keeps rpm, oci, the deployer installs deb',
      expected: 'one format that all three have',
      hint: 'Choose another packager, repository or deployer.',
    });
  });
});

describe('JSON Schema', () => {
  const compile = async () => {
    const { Ajv2020 } = await import('ajv/dist/2020.js');
    return new Ajv2020({ strict: false, validateFormats: false }).compile(
      configJsonSchema({ 'jenkins-main': jenkins, '@pipit/plugin-local': local }),
    );
  };
  const config = (withPart: object, ci: unknown) => ({
    plugins: { 'jenkins-main': { uses: '@pipit/plugin-jenkins', with: withPart } },
    pipelines: {
      web: {
        repositories: ['a/*'],
        trigger: { use: 'local', when: 'true' },
        ci,
        packager: 'local',
        repository: 'local',
        discovery: 'local',
        deployer: { $env: 'D' },
      },
    },
  });
  const good = { url: { $env: 'URL' }, token: { $file: 'token' } };

  it.each([
    ['a whole config with references', config(good, { use: 'jenkins-main', with: { job: 'web' } }), true],
    ['an unknown key of a plugin', config({ ...good, urll: 'x' }, 'jenkins-main'), false],
    ['a wrong type in a plugin', config({ ...good, token: 5 }, 'jenkins-main'), false],
    ['a reference with two keys', config({ ...good, token: { $env: 'A', $file: 'b' } }, 'jenkins-main'), false],
    ['an unknown option of a slot', config(good, { use: 'jenkins-main', with: { job: 'web', jb: 1 } }), false],
    ['a missing option of a slot', config(good, { use: 'jenkins-main', with: {} }), false],
    ['an option of another plugin', config(good, { use: 'local', with: { job: 'web' } }), false],
    ['a slot of a plugin that it does not know', config(good, { use: 'other', with: { anything: 1 } }), true],
    ['an unknown key of pipit', { ...config(good, 'local'), servr: {} }, false],
  ])('judges %s', async (_what, value, expected) => {
    const validate = await compile();
    expect({ valid: validate(value) }).toEqual({ valid: expected });
  });

  it('moves the references inside a plugin schema with it', async () => {
    const z = await import('zod');
    const node: import('zod').ZodType = z.strictObject({
      name: z.string(),
      get child() {
        return node.optional();
      },
    });
    const recursive = { ...local, name: '@pipit/plugin-tree', config: node };
    const { Ajv2020 } = await import('ajv/dist/2020.js');
    const validate = new Ajv2020({ strict: false, validateFormats: false }).compile(configJsonSchema({ tree: recursive }));
    const value = (child: object) => ({
      ...config(good, 'local'),
      plugins: { tree: { uses: '@pipit/plugin-tree', with: { name: 'a', child } } },
    });
    expect(validate(value({ name: 'b', child: { name: { $env: 'C' } } }))).toBe(true);
    expect(validate(value({ name: 'b', child: { nme: 'c' } }))).toBe(false);
  });
});

import { expect, it } from 'vitest';
import { formatProblems } from '../src/index.js';
import { load } from './sample-plugins.js';

const text = `server:
  prot: 7420
plugins:
  jenkins-main:
    uses: "@pipit/plugin-jenkins"
    with:
      url: https://ci.example.org
      token: hunter2-hunter2
pipelines:
  web:
    repositories: ["acme/*"]
    trigger: { use: local, when: "event.brnch == 'main'" }
    ci: { use: jenkins-main, with: { job: 5 } }
    packager: { use: local, on: { servce: build } }
    repository: jenkins-main
    discovery: local
    deployer: ssh
    rings:
      - name: canary
        bake: 30 minutes
      - name: production
        promotion: automatc
    health: { type: http, port: 8080, path: { $env: HEALTH_PATH } }
`;

it('names ten mistakes of one file together, each with its line and column', async () => {
  const result = await load(text);
  if (result.ok) throw new Error('The config was accepted');
  const shown = result.problems.map(({ line, column, path, code, message, expected, hint }) => [
    `${line}:${column}`,
    path,
    code,
    message,
    expected,
    hint,
  ]);
  expect(shown).toEqual([
    ['2:3', 'server.prot', 'UNKNOWN_KEY', 'Key "prot" is not known here', undefined, 'Did you mean "port"?'],
    [
      '8:14',
      'plugins.jenkins-main.with.token',
      'SECRET_IN_CONFIG',
      'A secret stands in the config file as text',
      '{ $env: NAME } or { $file: path }',
      'Move it to an environment variable or a file, and change it: this file may have been copied.',
    ],
    [
      '12:41',
      'pipelines.web.trigger.when',
      'RULE_INVALID',
      'event has no field "brnch"',
      'one of repository, ref, branch, tag, commit, before, author, deleted',
      'Did you mean "branch"?',
    ],
    ['13:43', 'pipelines.web.ci.with.job', 'WRONG_TYPE', 'This is a number', 'a text', undefined],
    ['14:35', 'pipelines.web.packager.on.servce', 'UNKNOWN_KEY', 'Key "servce" is not known here', undefined, 'Did you mean "service"?'],
    [
      '15:17',
      'pipelines.web.repository',
      'SLOT_KIND_MISSING',
      'Instance "jenkins-main" is no repository; it provides ci',
      'an instance that provides repository',
      'These do: local.',
    ],
    ['17:15', 'pipelines.web.deployer', 'PLUGIN_NOT_FOUND', 'Plugin "@pipit/plugin-ssh" was not found', undefined, undefined],
    [
      '20:15',
      'pipelines.web.rings[0].bake',
      'INVALID_DURATION',
      'Not a valid duration',
      undefined,
      'Write a whole number and a unit (ms, s, m, h or d), for example 30m; at most 365d.',
    ],
    [
      '22:20',
      'pipelines.web.rings[1].promotion',
      'INVALID_VALUE',
      'This value is not known here',
      'one of "manual", "automatic"',
      'Did you mean "automatic"?',
    ],
    [
      '23:45',
      'pipelines.web.health.path',
      'REFERENCE_ENV_MISSING',
      'Environment variable HEALTH_PATH is not set',
      undefined,
      'Set HEALTH_PATH in the environment that pipit is started with.',
    ],
  ]);
  expect(formatProblems(result.problems)).not.toContain('hunter2');
});

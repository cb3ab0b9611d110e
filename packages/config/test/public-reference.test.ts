import { expect, it } from 'vitest';
import { isPublicReference } from '../src/public-reference.js';
import { load } from './sample-plugins.js';

it.each([
  'pipit',
  'https://ci.example.org',
  'http://10.77.0.1:40271',
  'https://github.example.org/api/v3',
  '10.77.0.12',
  'repo.example.org',
  '/srv/git/web.git',
])('may show %s', (text) => expect(isPublicReference(text)).toBe(true));

it.each([
  'hunter2-hunter2',
  'ghp_16C7e42F292c6912E7710c838347Ae178B4a',
  'https://user:password@ci.example.org',
  'https://hooks.example.org/services/T024BE7LD/B024BE7LD/p4ssw0rdp4ssw0rdp4ssw0rdp4',
  'https://ci.example.org/?token=abc',
  '-----BEGIN OPENSSH PRIVATE KEY-----',
  'postgres://pipit:pw@db/pipit',
])('keeps %s hidden', (text) => expect(isPublicReference(text)).toBe(false));

it('gives back what a plugin takes as plain text and is an address, and nothing that became a secret', async () => {
  const hidden = new Set<string>();
  const text = `plugins:
  jenkins-main: { uses: "@pipit/plugin-jenkins", with: { url: { $env: CI_URL }, token: { $env: CI_TOKEN } } }
pipelines:
  web: { repositories: ["acme/*"], trigger: local, ci: { use: jenkins-main, with: { job: { $env: CI_JOB } } }, packager: local, repository: local, discovery: local, deployer: local }
`;
  const result = await load(text, {
    environment: { CI_URL: 'https://ci.example.org', CI_TOKEN: 'abc.example', CI_JOB: 'unguessable-text-of-a-plain-field' },
    redact: (each) => hidden.add(each),
    reveal: (each) => hidden.delete(each),
  });
  expect(result.ok).toBe(true);
  expect([...hidden].sort()).toEqual(['abc.example', 'unguessable-text-of-a-plain-field']);
});

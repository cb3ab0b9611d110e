/** That this plugin keeps the published promises, on the real tools: OpenSSH, apt, dpkg, systemd. */
import { testPlugin } from '@pipit/plugin-testing';
import { plugin } from '../src/index.js';

const privateKey = `-----BEGIN OPENSSH PRIVATE KEY-----\nnot a real one\n-----END OPENSSH PRIVATE KEY-----\n`;

testPlugin('plugin-ssh', {
  plugin,
  goodConfig: { user: 'deploy', sudo: true, identity: privateKey, knownHosts: '@cert-authority *.example.org ssh-ed25519 AAAA' },
  badConfigs: {
    'an unknown key': { username: 'deploy' },
    'a user that is an option': { user: '-oProxyCommand=id' },
    'a user with a line break': { user: 'deploy\nProxyCommand id' },
    'a jump host that is an option': { jump: ['-oProxyCommand=id'] },
    'a jump host with a space': { jump: ['a b'] },
    'a program with a line break': { program: 'ssh\nid' },
    'a relative file': { knownHostsFile: 'known_hosts' },
    'a file with a quote': { sshConfig: '/etc/"x"' },
    'an agent socket with a line break': { agent: '/run/agent\nProxyCommand id' },
    'an identity that is a path': { identity: '/root/.ssh/id_ed25519' },
    'host keys that are not checked': { hostKeys: 'no' },
    'a duration without a unit': { connectTimeout: '10' },
    'a port that there is not': { port: 70_000 },
    'no connection at all': { connections: { total: 0 } },
  },
  secrets: ['not a real one'],
});

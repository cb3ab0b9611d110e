import { expect, it } from 'vitest';
import messages from '../src/__fixtures__/openssh-9.2-messages.json' with { type: 'json' };
import { classifyFailure, describeConnectionFailure } from '../src/connection-failure.js';

/** Recorded from OpenSSH 9.2 against real servers. */
const EXPECTED: Readonly<Record<keyof typeof messages, readonly [code: string, recovery: string]>> = {
  'host key unknown': ['SSH_HOST_KEY_UNKNOWN', 'stop'],
  'host key changed': ['SSH_HOST_KEY_CHANGED', 'stop'],
  'login refused': ['SSH_LOGIN_REFUSED', 'stop'],
  'connection refused': ['SSH_UNREACHABLE', 'retry'],
  'name unknown': ['SSH_UNREACHABLE', 'retry'],
  'no answer': ['SSH_UNREACHABLE', 'retry'],
  'configuration broken': ['SSH_CONFIG_INVALID', 'stop'],
  'sudo asks': ['SSH_SUDO_REFUSED', 'stop'],
  'shell refuses': ['SSH_SHELL_BROKEN', 'stop'],
  'dropped by MaxStartups': ['SSH_CONNECTION_DROPPED', 'retry'],
};

const cases = Object.entries(messages).map(([what, given]) => ({ what: what as keyof typeof messages, ...given })); // the keys of that very object

it.each(cases)('knows what ssh says: $what', ({ what, said, exitCode }) => {
  const { error } = classifyFailure({ address: 'web1', said, exitCode });
  expect([error.code, error.recovery]).toEqual(EXPECTED[what]);
  expect(error.message).toMatch(/^web1 /);
  expect(error.message).not.toMatch(/\p{Cc}/u);
  expect(error.hint).toMatch(/\S/);
  expect(describeConnectionFailure(error.code, 'web1')?.hint).toBe(error.hint);
});

it('takes an end of ssh that it does not know for a host that cannot be reached', () => {
  expect(classifyFailure({ address: 'web1', said: '', exitCode: 255 }).error).toMatchObject({ code: 'SSH_UNREACHABLE', recovery: 'retry' });
  expect(classifyFailure({ address: 'web1', said: 'Welcome!', exitCode: 1 }).error).toMatchObject({
    code: 'SSH_SHELL_BROKEN',
    recovery: 'stop',
  });
});

import { parseUnitName } from '@pipit/core';
import { describe, expect, it } from 'vitest';
import { restartPauses } from '../src/service-supervisor-script.js';
import { parseServiceUnit } from '../src/service-supervisor-unit.js';

const web = parseUnitName('web');
const parse = (lines: string) =>
  parseServiceUnit(web, `[Unit]\nDescription=x\nExecStart=/not/here\n[Service]\n${lines}\n[Install]\nWantedBy=multi-user.target\n`);

describe('parseServiceUnit', () => {
  it('reads what local hosts understand, and passes over the rest', () => {
    const unit = parse(`# comment
Type=simple
ExecStart=/usr/bin/env node \\
  "/opt/web/my server.js" --greeting 'a "b"' 100%% back\\ slash
Environment=PORT=8080 "NAME=hello there"
Environment=EMPTY=
WorkingDirectory=/opt/web
Restart=on-failure
RestartSec=1.5s
ProtectSystem=strict
User=web`);
    expect(unit).toEqual({
      argv: ['/usr/bin/env', 'node', '/opt/web/my server.js', '--greeting', 'a "b"', '100%', 'back slash'],
      environment: { PORT: '8080', NAME: 'hello there', EMPTY: '' },
      workingDirectory: '/opt/web',
      restart: 'on-failure',
      restartMs: 1500,
    });
  });

  it("takes systemd's defaults", () => {
    expect(parse('ExecStart=/opt/web/run')).toEqual({ argv: ['/opt/web/run'], environment: {}, restart: 'no', restartMs: 100 });
  });

  it.each([
    ['no ExecStart', 'Restart=always'],
    ['two ExecStart', 'ExecStart=/a\nExecStart=/b'],
    ['a prefix', 'ExecStart=-/opt/web/run'],
    ['a relative program', 'ExecStart=run'],
    ['a specifier', 'ExecStart=/opt/web/run %i'],
    ['a variable', `ExecStart=/opt/web/run $\{PORT}`],
    ['an open quote', 'ExecStart=/opt/web/run "a'],
    ['another type', 'ExecStart=/a\nType=forking'],
    ['another restart', 'ExecStart=/a\nRestart=on-watchdog'],
    ['a strange time', 'ExecStart=/a\nRestartSec=soon'],
    ['an environment file', 'ExecStart=/a\nEnvironmentFile=/etc/default/web'],
    ['a command before', 'ExecStart=/a\nExecStartPre=/b'],
    ['an environment without a name', 'ExecStart=/a\nEnvironment==x'],
    ['a relative folder', 'ExecStart=/a\nWorkingDirectory=~'],
  ])('refuses %s', (_what, lines) => {
    expect(() => parse(lines)).toThrow(expect.objectContaining({ code: 'HOST_SERVICE_UNSUPPORTED', recovery: 'stop' }));
  });
});

it('waits longer and longer before a restart, never less than the unit says', () => {
  expect(restartPauses(100)).toBe('0.1 1 2 4 8 16 30');
  expect(restartPauses(5_000)).toBe('5 5 5 5 8 16 30');
});

import { type Artifact, parseUnitName } from '@pipit/core';
import { buildDeb } from './hosts-support.js';

export const HEALTH_PORT = 8077;

const SERVER = `#!/usr/bin/env node
const { createServer } = require('node:http');
const { readFileSync } = require('node:fs');
createServer((request, response) => response.end(request.url === '/crash' ? process.exit(3) : readFileSync(__dirname + '/version')))
  .listen(Number(process.env.PORT), process.env.PIPIT_HOST_ADDRESS, () => console.log('listening', process.env.HOME));
`;

export const unitText = (program: string): string => `[Unit]
Description=web
[Service]
ExecStart=${program}
Environment=PORT=${HEALTH_PORT} "GREETING=hello there"
WorkingDirectory=/opt/web
Restart=always
RestartSec=50ms
[Install]
WantedBy=multi-user.target
`;

/** A package with a small web server, which answers with its version and dies at `/crash`, and its unit. */
export const serviceDeb = (
  version: string,
  program = '/usr/bin/env node /opt/web/server.cjs',
  more: Readonly<Record<string, string>> = {},
): Promise<Artifact> =>
  buildDeb({
    version,
    files: { '/opt/web/server.cjs': SERVER, '/opt/web/version': version, '/lib/systemd/system/web.service': unitText(program), ...more },
  });

/** What a rollout says of that service. */
export const servedWith = (withinMs: number) =>
  ({ services: [parseUnitName('web')], check: { type: 'http', port: HEALTH_PORT, path: '/', withinMs } }) as const;

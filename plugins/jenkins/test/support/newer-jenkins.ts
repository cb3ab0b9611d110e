import fastify from 'fastify';

/** What the server below does instead of the usual. */
export interface Mood {
  /** Answers all with this status. */
  outage?: number;
  startStatus?: number;
  /** Leaves the queue item as it is, or cancels it. */
  item?: 'waiting' | 'cancelled' | 'left';
  artifact?: string;
}

const JOB = '/job/a/job/web';
const KEY = 'run:build:1';

/** A server that answers as Jenkins 2.440 does, for one job in a folder: 201 with Location, LeftItem, crumbs that belong to a session. */
export const startNewerJenkins = async ({ build, mood }: { readonly build: unknown; readonly mood: Mood }) => {
  const app = fastify();
  const posts: { readonly url: string; readonly body: string }[] = [];
  app.addContentTypeParser('application/x-www-form-urlencoded', { parseAs: 'string' }, (_request, body, done) => done(null, body));
  app.addHook('onRequest', async (request, reply) => {
    if (mood.outage !== undefined) return reply.code(mood.outage).send('Please wait while Jenkins is getting ready to work ...');
    if (request.method !== 'POST') return undefined;
    const { cookie, 'jenkins-crumb': crumb } = request.headers;
    if (cookie !== 'JSESSIONID.1=node0' || crumb !== 'crumb-of-node0')
      return reply.code(403).send('No valid crumb was included in the request');
    return undefined;
  });
  app.get('/crumbIssuer/api/json', async (_request, reply) =>
    reply
      .header('set-cookie', 'JSESSIONID.1=node0; Path=/; HttpOnly')
      .send({ crumb: 'crumb-of-node0', crumbRequestField: 'Jenkins-Crumb' }),
  );
  app.get(`${JOB}/api/json`, async (request) =>
    JSON.stringify(request.query).includes('builds')
      ? { builds: mood.item === 'left' ? [build] : [] }
      : {
          _class: 'org.jenkinsci.plugins.workflow.job.WorkflowJob',
          name: 'web',
          url: '',
          buildable: true,
          property: [{}, { parameterDefinitions: ['PIPIT_KEY', 'PIPIT_COMMIT'].map((name) => ({ name })) }],
        },
  );
  app.post(`${JOB}/buildWithParameters`, async (request, reply) => {
    posts.push({ url: request.url, body: String(request.body) });
    return reply
      .code(mood.startStatus ?? 201)
      .header('location', 'http://jenkins.internal:8080/queue/item/42/')
      .send();
  });
  app.get('/queue/api/json', async () => ({ items: [] }));
  app.get('/queue/item/42/api/json', async () => ({
    id: 42,
    actions: [{ parameters: [{ name: 'PIPIT_KEY', value: KEY }] }],
    task: { name: 'web' },
    ...(mood.item === 'left'
      ? { executable: { number: 7, url: '' }, why: null, cancelled: false }
      : mood.item === 'cancelled'
        ? { why: null, cancelled: true }
        : { why: 'Finished waiting' }),
  }));
  app.get(`${JOB}/7/api/json`, async (request) =>
    JSON.stringify(request.query).includes('artifacts')
      ? {
          artifacts: [
            { fileName: 'app', relativePath: 'pipit-output/opt/app' },
            { fileName: 'report.xml', relativePath: 'reports/report.xml' },
          ],
          fingerprint: [{ fileName: 'app', hash: '401b30e3b8b5d629635a5c613cdb7919' }],
        }
      : build,
  );
  app.get(`${JOB}/7/artifact/pipit-output/opt/app`, async () => mood.artifact ?? 'x\n');
  const url = await app.listen({ host: '127.0.0.1', port: 0 });
  return { url: `${url}/`, posts, key: KEY, close: () => app.close() };
};

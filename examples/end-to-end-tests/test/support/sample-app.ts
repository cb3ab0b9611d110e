import type { RepositoryFiles } from './developer.js';
import type { ReportCounter } from './report-counter.js';

/** Long enough for a kill to fall into it. */
const WORK_S = 0.2;

/** A small app without a service: each of its scripts tells the counter, and takes a while. */
export const sampleApp = (counter: ReportCounter): RepositoryFiles => ({
  'pipit.yaml': 'version: 1.0.0\ndescription: A small app\n',
  'script/cisetup': '#!/bin/sh\nexit 0\n',
  'script/cibuild': `#!/bin/bash\nset -e\n${counter.report('build $PIPIT_COMMIT')}\necho building\nsleep ${WORK_S}\n`,
  'script/package': `#!/bin/bash\nset -e\nmkdir -p "$PIPIT_PACKAGE_ROOT/opt/shop"\ncp content "$PIPIT_PACKAGE_ROOT/opt/shop/"\nsleep ${WORK_S}\n`,
  // dpkg gives the maintainer scripts the package's version nowhere, so the file that they belong to says which commit this is.
  'script/post-inst': `#!/bin/bash\nset -e\n${counter.keep('install $(basename "$DPKG_ROOT") $(cat "$DPKG_ROOT/opt/shop/content")')}\nsleep ${WORK_S}\n`,
  content: 'first\n',
});

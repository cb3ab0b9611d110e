import { PluginError, SCRIPTS } from '@pipit/core';

/** Ends the text of a bash script within its wrapper; a script that has this line is refused. */
const END = 'PIPIT_POST_INST_END';

/** `sh`, `dash` or `bash`, by its path or by env, and options of single letters. */
const INTERPRETER = /^#!\s*(?:\/usr)?\/bin\/(?:env\s+)?(sh|dash|bash)((?:\s+-[a-z]+)*)\s*$/;

const refused = (message: string, hint: string): PluginError =>
  new PluginError({ code: 'FPM_RPM_SCRIPT_UNSUPPORTED', message, hint, recovery: 'stop' });

/**
 * The post-install script as it has to be given to FPM for an rpm. rpmbuild expands macros in it (`${name%%.*}` would lose a `%`, `%(...)` would
 * run on the build host), so each `%` is doubled; and FPM lets /bin/sh run it, so a bash script is handed on to bash.
 *
 * @throws PluginError `FPM_RPM_SCRIPT_UNSUPPORTED` (stop)
 */
export const rpmPostInstall = (text: string): string => {
  const lines = text.split('\n');
  const match = INTERPRETER.exec(lines[0] ?? '');
  if (match === null)
    throw refused(
      `${SCRIPTS.postInstall} begins with ${JSON.stringify(lines[0]?.slice(0, 100))}, but FPM makes rpms whose scripts a shell runs`,
      'Begin it with #!/bin/sh or #!/bin/bash, and call the other program from there.',
    );
  const line = lines.findIndex((one) => /^\s*%[A-Za-z(]/.test(one) || one === END);
  if (line >= 0)
    throw refused(
      `Line ${line + 1} of ${SCRIPTS.postInstall} begins with "%" or is ${END}, which rpmbuild does not take for a script's`,
      'Write that line in another way, for example with printf.',
    );
  const [, interpreter, options = ''] = match;
  const doubled = text.replaceAll('%', '%%');
  if (interpreter !== 'bash') return options.trim() === '' ? doubled : doubled.replace('\n', `\nset${options}\n`);
  return `#!/bin/sh\nexec /bin/bash${options} -s -- "$@" <<'${END}'\n${doubled.endsWith('\n') ? doubled : `${doubled}\n`}${END}\n`;
};

export { isArmouredKey, keyringOf } from './apt/armoured-key.js';
export { type CheckSuitesRequest, checkSuites } from './apt/check-suites.js';
export { type IndexedPackage, parsePackagesIndexes, sameDebPlace, withoutPath } from './apt/packages-index.js';
export { type PublishedTree, treeInFolder, treeOverHttp } from './apt/published-tree.js';
export { type ReadSuiteRequest, readSuite, type SuiteState, signatureBroken } from './apt/read-suite.js';
export { PUBLISHED_SUITE, ringSuite } from './apt/ring-suite.js';
export { endGpgAgent, ensureRepositoryKey, exportPublicKey, type RepositoryKey, type RepositoryKeyOptions } from './apt/signing-key.js';
export {
  artifactMismatch,
  artifactMissing,
  artifactOffered,
  debFileName,
  digestConflict,
  notVerified,
  stageDeb,
} from './apt/stage-deb.js';
export { createSuiteMemory, type KnownSuites, type SuiteMemory } from './apt/suite-memory.js';
export { findProgram } from './command/find-program.js';
export { minimalEnvironment, SYSTEM_PATH } from './command/minimal-environment.js';
export { createOutputTail, MAX_OUTPUT_BYTES, type OutputTail } from './command/output-tail.js';
export { quoteForShell } from './command/quote-for-shell.js';
export { type CommandOptions, runCommand } from './command/run-command.js';
export { type MapLimits, mapInTime } from './concurrency/map-in-time.js';
export { type ConfinedEntry, listConfined } from './confined/list-confined.js';
export { openConfinedFile } from './confined/open-confined-file.js';
export { openPlainFile } from './confined/open-plain-file.js';
export { readConfinedText, readOpenFile } from './confined/read-confined.js';
export { removeFolder } from './confined/remove-folder.js';
export { type ConfinedPlace, openConfinedFolder } from './confined/walk-to.js';
export { type WriteConfinedOptions, writeConfined } from './confined/write-confined.js';
export { type DetachedState, inspectDetached } from './detached/inspect-detached.js';
export { readDetachedLog } from './detached/read-detached-log.js';
export { DEFAULT_MAX_TASK_OUTPUT_BYTES, type DetachedOptions, startDetached } from './detached/start-detached.js';
export { stopDetached } from './detached/stop-detached.js';
export { type GitCredentials, type GitOptions, runGit } from './git/run-git.js';
export { type HostLaunch, parseHostLaunch, renderHostTry } from './host-script/host-launch.js';
export { HOST_LAUNCH } from './host-script/host-launch-text.js';
export { type HostLook, type HostPackage, parseHostLook } from './host-script/host-look.js';
export { HOST_LOOK } from './host-script/host-look-text.js';
export { brokenHostOutcome, type HostFailure, type HostOutcome, parseHostOutcome, parseHostReceipt } from './host-script/host-outcome.js';
export {
  type HostInstall,
  type HostScriptPaths,
  healthCheckEnvironment,
  hostScriptEnvironment,
  hostScriptPaths,
  hostTryId,
} from './host-script/host-script-environment.js';
export { HOST_SCRIPT } from './host-script/host-script-text.js';
export { describeIssues } from './http/describe-issues.js';
export { abortFailure, connectionFailure, timeoutFailure } from './http/http-failure.js';
export { DEFAULT_HTTP_TIMEOUT_MS, DEFAULT_MAX_ANSWER_BYTES, type HttpAnswer, type HttpRequest, requestHttp } from './http/request-http.js';
export type { HttpTls } from './http/send-over-tls.js';
export { checkConfigFiles, fillPackageRoot } from './package-root/fill-root.js';
export { normalisePackageRoot } from './package-root/normalise-root.js';
export { type PackageContents, readPackageContents } from './package-root/package-contents.js';
export { PACKAGE_FOLDERS } from './package-root/package-folders.js';
export { placePackageFile, runConfined, runPackaging } from './package-root/run-packaging.js';
export { storePackage } from './package-root/store-package.js';
export { writeOutputs } from './package-root/write-outputs.js';
export { createRedactor, type RedactingStream, type Redactor } from './redaction/create-redactor.js';
export { createSandbox, DEFAULT_SANDBOX_USER, type SandboxOptions, type SandboxUser } from './sandbox/create-sandbox.js';
export type { AllowedAddress, SandboxNetwork, SandboxNetworkMode } from './sandbox/sandbox-network.js';
export { DEFAULT_SANDBOX_LIMITS, type SandboxLimits } from './sandbox/work-limits.js';

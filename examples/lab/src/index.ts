export { labCacheFolder, withMachineLock } from './components/cache-folder.js';
export { freePort } from './components/free-port.js';
export { type Jenkins, type JenkinsOptions, startJenkins } from './components/jenkins.js';
export type { JenkinsAccount } from './components/jenkins-init.js';
export { JENKINS_VERSION, jenkinsWar } from './components/jenkins-war.js';

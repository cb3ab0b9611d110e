export { labCacheFolder, withMachineLock } from './components/cache-folder.js';
export { type ConsulAgent, type ConsulOptions, type ConsulPorts, startConsul } from './components/consul.js';
export { type ConsulCluster, type ConsulClusterOptions, startConsulCluster } from './components/consul-cluster.js';
export { consulProgram } from './components/consul-program.js';
export { type DebianPackageRequest, unpackDebianPackage } from './components/debian-package.js';
export { freePort } from './components/free-port.js';
export { type Jenkins, type JenkinsOptions, startJenkins } from './components/jenkins.js';
export type { JenkinsAccount } from './components/jenkins-init.js';
export { JENKINS_VERSION, jenkinsWar } from './components/jenkins-war.js';

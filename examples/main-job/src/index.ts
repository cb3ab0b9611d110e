export { cloneSampleApp, type Developer, type Pushed } from './clone.js';
export { type Expectation, expectHosts } from './expect-hosts.js';
export { showHosts } from './show-hosts.js';
export { type Edits, type Story, tellStory } from './story.js';

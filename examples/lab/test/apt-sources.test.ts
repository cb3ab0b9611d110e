import { describe, expect, it } from 'vitest';
import { findDebianMirror } from '../src/components/apt-sources.js';

describe('findDebianMirror', () => {
  it('reads a deb822 source and skips the ones that are not the release itself', () => {
    const text = `Types: deb
URIs: http://mirror.example.org/security
Suites: bookworm-security
Components: main

# the archive
Types: deb deb-src
# another comment
URIs: http://mirror.example.org/debian
Suites: bookworm
  bookworm-updates
Components: main contrib
Signed-By: /usr/share/keyrings/archive.gpg
`;
    expect(findDebianMirror([{ name: 'debian.sources', text }], 'bookworm')).toEqual({
      url: 'http://mirror.example.org/debian',
      signedBy: '/usr/share/keyrings/archive.gpg',
    });
  });

  it('skips a source that is switched off', () => {
    const text = 'Enabled: no\nTypes: deb\nURIs: http://a\nSuites: bookworm\nComponents: main\n';
    expect(findDebianMirror([{ name: 'debian.sources', text }], 'bookworm')).toBeUndefined();
  });

  it('reads a classic list with and without options', () => {
    const text = `# deb http://commented.example.org/debian bookworm main
deb https://tools.example.org/apt tool-bookworm main
deb [arch=amd64 signed-by=/k.gpg] http://mirror.example.org/debian bookworm main non-free # ours
`;
    expect(findDebianMirror([{ name: 'sources.list', text }], 'bookworm')).toEqual({
      url: 'http://mirror.example.org/debian',
      signedBy: '/k.gpg',
    });
    expect(findDebianMirror([{ name: 'a.list', text: 'deb http://plain/debian bookworm main' }], 'bookworm')).toEqual({
      url: 'http://plain/debian',
    });
  });
});

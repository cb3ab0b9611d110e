#!/usr/bin/env node
// A file of its own, since a package manager links commands before anything is built.
import '../dist/main.js';

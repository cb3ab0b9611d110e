#!/usr/bin/env node
import { runLabCommand } from './lab-command.js';

// Not by the end of the event loop: `up` leaves processes behind on purpose.
process.exit(await runLabCommand(process.argv.slice(2)));

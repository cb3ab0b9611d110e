import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readTariff, total } from '../lib/tariff.mjs';

test('adds up a basket', () => assert.equal(total(readTariff(), ['tea', 'cake']), 650));
test('knows nothing of what is not sold', () => assert.equal(total(readTariff(), ['gold']), 0));

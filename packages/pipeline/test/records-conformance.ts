import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type AuditEntry, appendAudit, type EventId, type EventRow, findBrokenAudit, type Records, type RingRow } from '../src/index.js';

/** What a test of one implementation of the records opens: an empty database, and what closes it. */
export interface RecordsUnderTest {
  readonly records: Records;
  close?(): Promise<void>;
}

// The parts of rows that these tests vary; the brands are the parsers' and no concern of a database.
const eventRow = (id: string, changes: Partial<Record<keyof EventRow, unknown>> = {}): EventRow =>
  ({
    id,
    instance: 'github',
    key: id,
    lane: 'l',
    polled: false,
    type: 'change',
    body: { type: 'change', event: { key: id } },
    receivedAt: '2026-01-01T00:00:00.000Z',
    state: 'received',
    outcome: null,
    runId: null,
    ...changes,
  }) as EventRow;

const ringRow = (app: string, ring: string, sequence: number): RingRow =>
  ({
    app,
    role: 'app',
    ring,
    sequence,
    rolloutId: `${app}:${sequence}`,
    version: '1',
    state: 'verified',
    updatedAt: '2026-01-01T00:00:00.000Z',
  }) as RingRow;

/** Characters that databases, JSON or Unicode treat in a way of their own. */
const oddUnit = fc.constantFrom(
  '\0',
  '\u0001',
  '\\',
  '"',
  'u0000',
  '\ud800',
  '\udfff',
  '😀',
  '\ufffd',
  '\uffff',
  '\u2028',
  'e\u0301',
  '__proto__',
);

const idOf = (id: string) => ({ id: id as EventId });
const idsOf = (rows: readonly EventRow[]): readonly string[] => rows.map((row) => row.id);

/** Ends when the other side says so; stands for work that takes its time. */
const createLatch = (): { readonly opened: Promise<void>; open(): void } => {
  let open = (): void => {};
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { opened, open };
};

/** Lets whatever could go on go on, also over a connection. */
const settle = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 50));

/** What every implementation of {@link Records} promises. */
export const describeRecords = (name: string, create: () => Promise<RecordsUnderTest>): void => {
  const test = (behaviour: string, body: (records: Records) => Promise<void>): void =>
    it(behaviour, async () => {
      const { records, close } = await create();
      try {
        await body(records);
      } finally {
        await close?.();
      }
    });
  const insert = (records: Records, ...rows: readonly EventRow[]): Promise<readonly boolean[]> =>
    records.transaction(async (transaction) => {
      const inserted: boolean[] = [];
      for (const row of rows) inserted.push(await transaction.insert('events', row));
      return inserted;
    });

  describe(`records: ${name}`, () => {
    test('give back a row as it went in, however deep its JSON', async (records) => {
      const body = {
        type: 'change',
        event: { key: 'ä😀 "\\', deep: [{ a: [1, null, { b: { c: [[]] } }] }], zero: 0, no: false, empty: {} },
      };
      const row = eventRow('e1', { body, outcome: "it's 100% \u0001 \n done" });
      await insert(records, row);
      expect(await records.get('events', idOf('e1'))).toEqual(row);
      expect(await records.list('events')).toEqual([row]);
    });

    test('keep JSON that is a bare value, a list or null', async (records) => {
      const values = ['text', 7, 1.5, true, null, [1, 'two'], { three: 3 }];
      await records.transaction(async (transaction) => {
        for (const [index, value] of values.entries()) await transaction.insert('settings', { name: `s${index}`, value });
      });
      for (const [index, value] of values.entries()) expect((await records.get('settings', { name: `s${index}` }))?.value).toEqual(value);
    });

    test('are not changed by who changes the row that went in', async (records) => {
      const body = { type: 'change', event: { key: 'before' } };
      await insert(records, eventRow('e1', { body }));
      body.event.key = 'after';
      expect(await records.get('events', idOf('e1'))).toMatchObject({ body: { event: { key: 'before' } } });
    });

    test('know nothing of a row that is not there', async (records) => {
      expect(await records.get('events', idOf('none'))).toBeUndefined();
      expect(await records.list('events')).toEqual([]);
      const changed = await records.transaction(async (transaction) => [
        await transaction.update('events', idOf('none'), { outcome: 'x' }),
        await transaction.remove('events', idOf('none')),
      ]);
      expect(changed).toEqual([false, false]);
    });

    test('refuse a taken primary key and write nothing, and the transaction goes on', async (records) => {
      expect(await insert(records, eventRow('e1', { outcome: 'first' }))).toEqual([true]);
      expect(await insert(records, eventRow('e1', { key: 'other', outcome: 'second' }), eventRow('e2'))).toEqual([false, true]);
      expect(await records.get('events', idOf('e1'))).toMatchObject({ outcome: 'first', key: 'e1' });
      expect(await records.get('events', idOf('e2'))).toBeDefined();
    });

    test('refuse a taken unique key, also one taken in the same transaction', async (records) => {
      expect(await insert(records, eventRow('e1', { key: 'k' }), eventRow('e2', { key: 'k' }))).toEqual([true, false]);
      expect(await insert(records, eventRow('e3', { key: 'k' }), eventRow('e4', { key: 'k', instance: 'gitlab' }))).toEqual([false, true]);
      expect(idsOf(await records.list('events'))).toEqual(['e1', 'e4']);
    });

    test('store what is left to the commit, and show it to what is asked for behind it', async (records) => {
      const seen = await records.transaction(async (transaction) => {
        const locked = transaction.lock('app:web');
        // Asked for while the name is still waited for, and seen all the same.
        transaction.sendWithCommit(transaction.insert('events', eventRow('e1')));
        transaction.sendWithCommit(transaction.update('events', idOf('e1'), { outcome: 'left' }));
        const [row] = await Promise.all([transaction.get('events', idOf('e1')), locked]);
        transaction.sendWithCommit(transaction.insertAll('events', [eventRow('e2'), eventRow('e1')]));
        return row?.outcome;
      });
      expect(seen).toBe('left');
      expect(idsOf(await records.list('events'))).toEqual(['e1', 'e2']);
      await records.transaction(async (transaction) => transaction.sendWithCommit(transaction.remove('events', idOf('e1'))), {
        durable: 'soon',
        oneWrite: true,
      });
      expect(idsOf(await records.list('events'))).toEqual(['e2']);
    });

    test('store nothing when what is left to the commit fails, and when work throws behind it', async (records) => {
      for (const durable of ['at once', 'soon'] as const) {
        const failing = records.transaction(
          async (transaction) => {
            await transaction.insert('events', eventRow('e1'));
            transaction.sendWithCommit(Promise.reject(new Error('not sent')));
          },
          { durable },
        );
        await expect(failing).rejects.toThrow('not sent');
        const throwing = records.transaction(
          async (transaction) => {
            transaction.sendWithCommit(transaction.insert('events', eventRow('e1')));
            throw new Error('thrown');
          },
          { durable },
        );
        await expect(throwing).rejects.toThrow('thrown');
      }
      expect(await records.list('events')).toEqual([]);
      // Neither is in the way of what comes next.
      expect(await insert(records, eventRow('e1'))).toEqual([true]);
    });

    test('insert many rows as they would one by one, and answer for each', async (records) => {
      const rows = [eventRow('e1', { key: 'k' }), eventRow('e2', { key: 'k' }), eventRow('e3'), eventRow('e1', { outcome: 'second' })];
      const answers = await records.transaction(async (transaction) => [
        await transaction.insertAll('events', rows),
        await transaction.insertAll('events', [eventRow('e3', { key: 'other' }), eventRow('e4', { outcome: '\u0001 "100%"' })]),
        await transaction.insertAll('events', []),
      ]);
      expect(answers).toEqual([[true, false, true, false], [false, true], []]);
      expect(await records.list('events')).toEqual([rows[0], rows[2], eventRow('e4', { outcome: '\u0001 "100%"' })]);
    });

    test('insert many rows with any JSON in them', async (records) => {
      const values = ['text', 7, 1.5, true, null, [1, 'two'], { camelCase: { snake_case: null } }];
      const rows = values.map((value, index) => ({ name: `s${index}`, value }));
      expect(await records.transaction((transaction) => transaction.insertAll('settings', rows))).toEqual(values.map(() => true));
      expect(await records.list('settings')).toEqual(rows);
    });

    test('keep what need be durable only soon like anything else, and roll it back', async (records) => {
      const soon = { durable: 'soon' } as const;
      await records.transaction((transaction) => transaction.insert('events', eventRow('e1')), soon);
      expect(await records.get('events', idOf('e1'))).toEqual(eventRow('e1'));
      const broken = records.transaction(async (transaction) => {
        await transaction.insert('events', eventRow('e2'));
        throw new Error('broken');
      }, soon);
      await expect(broken).rejects.toThrow('broken');
      expect(await records.list('events')).toHaveLength(1);
    });

    test('let one of many insert the same key at the same moment', async (records) => {
      const inserted = await Promise.all(
        Array.from({ length: 20 }, (_none, index) => insert(records, eventRow(`e${index}`, { key: 'k' }))),
      );
      expect(inserted.flat().filter((each) => each)).toHaveLength(1);
      expect(await records.list('events')).toHaveLength(1);
    });

    test('have keys of several columns', async (records) => {
      await records.transaction(async (transaction) => {
        for (const row of [ringRow('web', 'canary', 1), ringRow('web', 'production', 2), ringRow('api', 'canary', 3)])
          expect(await transaction.insert('rings', row)).toBe(true);
        expect(await transaction.insert('rings', ringRow('web', 'canary', 9))).toBe(false);
      });
      const key = { app: ringRow('web', 'canary', 0).app, role: ringRow('web', 'canary', 0).role, ring: ringRow('web', 'canary', 0).ring };
      expect(await records.get('rings', key)).toMatchObject({ sequence: 1 });
      await records.transaction((transaction) => transaction.remove('rings', key));
      expect((await records.list('rings')).map((row) => row.sequence)).toEqual([3, 2]);
    });

    test('update only the columns that are named, and see it within the transaction', async (records) => {
      await insert(records, eventRow('e1'), eventRow('e2'));
      await records.transaction(async (transaction) => {
        expect(await transaction.update('events', idOf('e1'), { state: 'handled', outcome: 'done' })).toBe(true);
        expect(await transaction.get('events', idOf('e1'))).toMatchObject({ state: 'handled' });
        expect(await transaction.list('events', { where: { state: 'handled' } })).toHaveLength(1);
      });
      expect(await records.get('events', idOf('e1'))).toEqual(eventRow('e1', { state: 'handled', outcome: 'done' }));
      expect(await records.get('events', idOf('e2'))).toEqual(eventRow('e2'));
      await records.transaction((transaction) => transaction.update('events', idOf('e1'), { outcome: null }));
      expect(await records.get('events', idOf('e1'))).toMatchObject({ outcome: null });
    });

    test('are not changed by a transaction that throws, and pass on what it threw', async (records) => {
      await insert(records, eventRow('e1'));
      const broken = records.transaction(async (transaction) => {
        await transaction.insert('events', eventRow('e2'));
        await transaction.update('events', idOf('e1'), { outcome: 'x' });
        await transaction.lock('one');
        throw new RangeError('no');
      });
      await expect(broken).rejects.toThrow(RangeError);
      expect(await records.list('events')).toEqual([eventRow('e1')]);
      await records.transaction((transaction) => transaction.lock('one'));
    });

    test('show nothing of a transaction before it is committed', async (records) => {
      const [inside, seen] = [createLatch(), createLatch()];
      const open = records.transaction(async (transaction) => {
        await transaction.insert('events', eventRow('e1'));
        inside.open();
        await seen.opened;
      });
      await inside.opened;
      expect(await records.list('events')).toEqual([]);
      seen.open();
      await open;
      expect(await records.list('events')).toHaveLength(1);
    });

    describe('list', () => {
      const rows = [
        eventRow('e1', { receivedAt: '2026-01-03', runId: 'web-1', outcome: 'b' }),
        eventRow('e2', { receivedAt: '2026-01-01', state: 'handled', outcome: 'B' }),
        eventRow('e3', { receivedAt: '2026-01-02', instance: 'local', outcome: 'a' }),
        eventRow('e4', { receivedAt: '2026-01-04', outcome: null }),
      ];
      const list = (behaviour: string, query: Parameters<typeof rowsOf>[1], expected: readonly string[]): void =>
        test(behaviour, async (records) => {
          await insert(records, ...rows.toReversed());
          expect(idsOf(await rowsOf(records, query))).toEqual(expected);
        });
      const rowsOf = (records: Records, query: NonNullable<Parameters<Records['list']>[1]>) => records.list('events', query as object);

      list('gives all by the primary key', {}, ['e1', 'e2', 'e3', 'e4']);
      list('selects by equality', { where: { instance: 'local' } as object }, ['e3']);
      list('selects by several columns', { where: { instance: 'github', state: 'received' } as object }, ['e1', 'e4']);
      list('selects any of a list', { where: { id: ['e4', 'e2', 'e9'] } as object }, ['e2', 'e4']);
      list('selects nothing by an empty list', { where: { id: [] } as object }, []);
      list('selects what is null', { where: { runId: null } as object }, ['e2', 'e3', 'e4']);
      list('selects by a value and a null together', { where: { runId: null, outcome: 'a' } as object }, ['e3']);
      list('selects at most', { atMost: { column: 'receivedAt', value: '2026-01-02' } as never }, ['e2', 'e3']);
      list('leaves out null at most', { atMost: { column: 'outcome', value: 'zzz' } as never }, ['e1', 'e2', 'e3']);
      list('pages behind a value', { after: { column: 'id', value: 'e2' } as never }, ['e3', 'e4']);
      list('leaves out null behind a value', { after: { column: 'outcome', value: 'B' } as never }, ['e1', 'e3']);
      list('pages before a value', { before: { column: 'id', value: 'e3' } as never }, ['e1', 'e2']);
      list('leaves out null before a value', { before: { column: 'outcome', value: 'zzz' } as never }, ['e1', 'e2', 'e3']);
      list('orders by a column', { orderBy: ['receivedAt', 'ascending'] as never }, ['e2', 'e3', 'e1', 'e4']);
      list('orders the other way', { orderBy: ['receivedAt', 'descending'] as never, limit: 2 }, ['e4', 'e1']);
      list('orders by code point and not by locale', { orderBy: ['outcome', 'ascending'] as never, limit: 3 }, ['e2', 'e3', 'e1']);
      list('ends at the limit', { limit: 3 }, ['e1', 'e2', 'e3']);
      list('gives nothing at a limit of none', { limit: 0 }, []);
      list('gives the first of each value of a column', { firstOfEach: 'instance' as never }, ['e1', 'e3']);
      list(
        'gives the first of each of those selected',
        {
          where: { instance: ['github'], state: 'received' } as object,
          after: { column: 'id', value: 'e1' } as never,
          firstOfEach: 'instance' as never,
          limit: 5,
        },
        ['e4'],
      );
      list(
        'takes all together',
        {
          where: { instance: 'github' } as object,
          after: { column: 'id', value: 'e1' } as never,
          orderBy: ['id', 'descending'] as never,
          limit: 1,
        },
        ['e4'],
      );

      test('compares numbers as numbers', async (records) => {
        await records.transaction(async (transaction) => {
          for (const sequence of [10, 9, 2, 100]) await transaction.insert('rings', ringRow(`app${sequence}`, 'canary', sequence));
        });
        const sequences = async (query: object) => (await records.list('rings', query)).map((row) => row.sequence);
        expect(await sequences({ orderBy: ['sequence', 'ascending'] })).toEqual([2, 9, 10, 100]);
        expect(await sequences({ atMost: { column: 'sequence', value: 10 }, orderBy: ['sequence', 'ascending'] })).toEqual([2, 9, 10]);
        expect(await sequences({ after: { column: 'sequence', value: 9 }, orderBy: ['sequence', 'descending'] })).toEqual([100, 10]);
        expect(await sequences({ where: { sequence: [9, 100] } })).toEqual([100, 9]);
      });
    });

    test('hold one transaction of a lock’s name at a time', async (records) => {
      let inside = 0;
      let most = 0;
      await Promise.all(
        Array.from({ length: 8 }, () =>
          records.transaction(async (transaction) => {
            await transaction.lock('app:web');
            inside += 1;
            most = Math.max(most, inside);
            const row = await transaction.get('settings', { name: 'count' });
            await settle();
            const value = Number(row?.value ?? 0) + 1;
            if (!(await transaction.insert('settings', { name: 'count', value })))
              await transaction.update('settings', { name: 'count' }, { value });
            inside -= 1;
          }),
        ),
      );
      expect(most).toBe(1);
      expect(await records.get('settings', { name: 'count' })).toMatchObject({ value: 8 });
    });

    test('put a row in the place of the one with its key', async (records) => {
      const name = 'put';
      for (const value of [1, 2])
        await records.transaction((transaction) => transaction.put('settings', { name, value }), { durable: 'soon', oneWrite: true });
      expect(await records.list('settings', { where: { name } })).toEqual([{ name, value: 2 }]);
    });

    test('change many rows at once, leaving out what is not there', async (records) => {
      await records.transaction((transaction) =>
        transaction.insertAll(
          'events',
          ['a', 'b', 'c'].map((id) => eventRow(id)),
        ),
      );
      for (const options of [{}, { durable: 'soon', oneWrite: true }] as const) {
        const outcome = JSON.stringify(options);
        const rows = ['a', 'c', 'gone'].map((id) => ({ ...idOf(id), state: 'handled' as const, outcome, runId: null }));
        await records.transaction((transaction) => transaction.updateAll('events', rows), options);
        const stored = await records.list('events');
        expect(stored.map((row) => [row.id, row.state, row.outcome])).toEqual([
          ['a', 'handled', outcome],
          ['b', 'received', null],
          ['c', 'handled', outcome],
        ]);
      }
    });

    test('run exclusive work of one name one after another, each with transactions of its own', async (records) => {
      let inside = 0;
      let most = 0;
      const work = (value: number) => async (): Promise<number> => {
        inside += 1;
        most = Math.max(most, inside);
        await records.transaction((transaction) => transaction.insert('settings', { name: `s${value}`, value }));
        await settle();
        inside -= 1;
        return value;
      };
      expect(await Promise.all([1, 2, 3].map((value) => records.exclusively('repository:apt', work(value))))).toEqual([1, 2, 3]);
      expect(most).toBe(1);
      expect(await records.list('settings')).toHaveLength(3);
    });

    test('run exclusive work of two names side by side, and beside a lock of the same name', async (records) => {
      const [begun, end] = [createLatch(), createLatch()];
      const first = records.exclusively('one', async () => {
        begun.open();
        await end.opened;
      });
      await begun.opened;
      await records.exclusively('two', async () => {});
      await records.transaction((transaction) => transaction.lock('one'));
      end.open();
      await first;
    });

    test('let exclusive work go on after one that threw', async (records) => {
      const broken = records.exclusively('one', async () => {
        throw new RangeError('no');
      });
      const next = records.exclusively('one', async () => 'done');
      await expect(broken).rejects.toThrow(RangeError);
      expect(await next).toBe('done');
      expect(await records.exclusively('one', async () => 'again')).toBe('again');
    });

    test('give every line of the audit trail back as it was hashed, whatever text or JSON it was given', async (records) => {
      const text = fc.oneof(
        fc.string({ unit: 'binary' }),
        fc.string({ unit: oddUnit }),
        fc.constantFrom('\0', '\ud83d', 'e\u0301', '\u00e9'),
      );
      const number = fc.oneof(fc.double(), fc.constantFrom(-0, 1e308, 5e-324, 1e21, 2 ** 53 + 2, Number.NaN, Number.NEGATIVE_INFINITY));
      const value = fc.anything({
        key: text,
        values: [text, number, fc.boolean(), fc.constant(null), fc.constant(undefined), fc.date({ noInvalidDate: true })],
        maxDepth: 4,
      });
      const entry = fc.record({
        at: fc.date({ min: new Date(0), max: new Date('9999-12-31T23:59:59.999Z'), noInvalidDate: true }),
        actor: fc.record({ name: text, origin: text }),
        action: text,
        subject: text,
        detail: value,
      });
      await fc.assert(
        fc.asyncProperty(fc.array(entry as fc.Arbitrary<AuditEntry>, { minLength: 1, maxLength: 8 }), async (entries) => {
          await records.transaction((transaction) => appendAudit(transaction, ...entries));
        }),
        { numRuns: 60 },
      );
      const rows = await records.list('audit');
      expect(rows.length).toBeGreaterThan(60);
      expect(findBrokenAudit(rows)).toBeUndefined();
    });

    test('keep texts of the audit trail as they were given, unless they cannot be stored or are too long', async (records) => {
      const deep = JSON.parse(`${'['.repeat(1_000)}${']'.repeat(1_000)}`);
      const entry = {
        at: new Date(1),
        actor: { name: 'a\0\ud83d', origin: '\u212b e\u0301 \ufb01' },
        action: 'x',
        subject: 'y'.repeat(1e6),
      };
      await records.transaction((transaction) =>
        appendAudit(
          transaction,
          { ...entry, detail: { 'k\0': 'v\udc00', long: '😀', none: -0 } },
          { ...entry, detail: 'z'.repeat(1e6) },
          { ...entry, detail: deep },
        ),
      );
      const rows = await records.list('audit');
      expect(findBrokenAudit(rows)).toBeUndefined();
      expect(rows[0]).toMatchObject({
        at: '1970-01-01T00:00:00.001Z',
        actor: 'a\ufffd\ufffd',
        origin: '\u212b e\u0301 \ufb01',
        subject: 'y'.repeat(2_000),
        detail: { 'k\ufffd': 'v\ufffd', long: '😀', none: 0 },
      });
      expect(rows[1]?.detail).toMatchObject({ length: 1_000_002 });
      expect(rows[2]?.detail).toMatchObject({ length: 2_000 });
    });
  });
};

// Parses a YAML text of a stranger, in a thread of its own that a watcher ends: see ../src/watched-worker.ts.
// Plain JavaScript, so that it is the same file beside `src` and beside `dist`.
import { parentPort } from 'node:worker_threads';
import { isMap, isScalar, isSeq, Lexer, parseDocument } from 'yaml';

/** The deepest key that a repository's file may have is at level 3. */
const MAX_DEPTH = 16;
/** Nesting by indentation takes at least one column a level. */
const MAX_INDENTATION = 128;
/** Keys and values; a long list of dependencies has some hundreds. */
const MAX_NODES = 4000;
/** More are not read by anybody. */
const MAX_PROBLEMS = 20;
/** The parser quotes what it stumbles over. */
const MAX_MESSAGE_CHARACTERS = 300;

const refuse = (offset, code, message, hint) => ({ offset, path: [], code, message, ...(hint === undefined ? {} : { hint }) });
const tooLarge = (offset, message) => refuse(offset, 'CONFIG_TOO_LARGE', message);
/** What has a kind and no code gets its code from ../src/strangers-yaml.ts. */
const notAllowed = (offset, what) => ({ offset, path: [], kind: 'feature', message: `${what} are not allowed in this file` });

/** What the lexer marks a token with by its first character. */
const REFUSED_TOKENS = new Map([
  ['&', 'Anchors'],
  ['*', 'Aliases'],
  ['!', 'Tags'],
  ['%', 'Directives'],
]);
/** Documents and the kinds of scalars are marked with one control character that is not in the text. */
const MARKS = new Set(['\u0002', '\u0018', '\u001f', '\ufeff']);

/** What is refused before the recursive parser sees it, found on the tokens. */
const findBreach = (text) => {
  let offset = 0;
  let flowDepth = 0;
  let compactDepth = 0;
  let tokens = 0;
  let atLineStart = true;
  let isScalarNext = false;
  for (const token of new Lexer().lex(text)) {
    tokens += 1;
    if (tokens > MAX_NODES * 8) return tooLarge(offset, `More than ${MAX_NODES} keys and values`);
    if (!isScalarNext && REFUSED_TOKENS.has(token[0])) return notAllowed(offset, REFUSED_TOKENS.get(token[0]));
    if (isScalarNext) isScalarNext = false;
    else if (token === '[' || token === '{') flowDepth += 1;
    else if (token === ']' || token === '}') flowDepth -= 1;
    else if (token === '\n' || token === '\r\n') compactDepth = 0;
    else if (flowDepth <= 0 && (token === '-' || token === '?' || token === ':')) compactDepth += 1;
    const indentation = atLineStart && token.startsWith(' ') ? token.length : 0;
    if (flowDepth > MAX_DEPTH || compactDepth > MAX_DEPTH || indentation > MAX_INDENTATION)
      return tooLarge(offset, `Nested more than ${MAX_DEPTH} levels deep`);
    if (token === '\u001f') isScalarNext = true;
    if (!MARKS.has(token)) offset += token.length;
    atLineStart = token.endsWith('\n');
  }
  return undefined;
};

const keyText = (key) => (typeof key.value === 'string' ? key.value : (key.source ?? String(key.value)));
const rangeOf = (node, fallback) => (node?.range ? [node.range[0], node.range[1]] : [fallback, fallback]);

/** Plain values, with an entry for every place. A repeated key, a merge key, a reference and a key that is no text are problems. */
const readTree = (document) => {
  const entries = [];
  const problems = [];
  let nodes = 0;
  const add = (problem, path) => {
    if (problems.length < MAX_PROBLEMS) problems.push({ ...problem, path });
  };
  const readMap = (map, path, depth) => {
    const value = {};
    const names = new Set();
    for (const pair of map.items) {
      const [at] = rangeOf(pair.key, 0);
      if (!isScalar(pair.key)) {
        add(refuse(at, 'KEY_NOT_ALLOWED', 'A key must be a text, and not a list or a mapping'), path);
        continue;
      }
      const name = keyText(pair.key);
      const own = [...path, name];
      if (name === '<<') add(notAllowed(at, 'Merge keys'), own);
      else if (name === '__proto__') add(refuse(at, 'KEY_NOT_ALLOWED', 'The key "__proto__" is not allowed'), path);
      else if (names.has(name)) {
        const message = `Key ${JSON.stringify(name.slice(0, 100))} stands here a second time`;
        add(refuse(at, 'DUPLICATE_KEY', message, 'Keep one of the two.'), own);
      } else {
        if (name === '$env' || name === '$file') {
          const message = 'A repository’s file cannot refer to environment variables or files of the machine';
          add({ offset: at, kind: 'reference', message }, path);
        }
        names.add(name);
        value[name] = read(pair.value, own, depth + 1, at);
      }
    }
    return value;
  };
  const read = (node, path, depth, keyAt) => {
    nodes += 1;
    const valueAt = rangeOf(node, keyAt ?? 0);
    if (depth > MAX_DEPTH || nodes > MAX_NODES) {
      const message = depth > MAX_DEPTH ? `Nested more than ${MAX_DEPTH} levels deep` : `More than ${MAX_NODES} keys and values`;
      if (!problems.some(({ code }) => code === 'CONFIG_TOO_LARGE')) add(tooLarge(valueAt[0], message), path);
      return null;
    }
    const entry = { path, valueAt, origin: 'literal', ...(keyAt === undefined ? {} : { keyAt }) };
    entries.push(entry);
    if (isMap(node)) return readMap(node, path, depth);
    if (isSeq(node)) return node.items.map((child, index) => read(child, [...path, index], depth + 1));
    const raw = isScalar(node) ? node.value : null;
    const isPlain =
      raw === null || typeof raw === 'string' || typeof raw === 'boolean' || (typeof raw === 'number' && Number.isFinite(raw));
    // `.inf` and `.nan` are no JSON; the text they are written with fails wherever a number is expected.
    entry.literal = isPlain ? raw : (node?.source ?? String(raw));
    return entry.literal;
  };
  const value = read(document.contents, [], 0);
  return { value, entries, problems };
};

/** The parser quotes what it stumbles over; single characters are its own. */
const clean = (message) => message.slice(0, MAX_MESSAGE_CHARACTERS).replace(/"(?:[^"\\]|\\.){2,}"/g, '"…"');

const failed = (...problems) => ({ value: null, entries: [], problems });

const parse = (text) => {
  const breach = findBreach(text);
  if (breach !== undefined) return failed(breach);
  try {
    // Repeated keys are found above: the parser's own way is quadratic.
    const document = parseDocument(text, { prettyErrors: false, uniqueKeys: false, schema: 'core', merge: false });
    const errors = document.errors.slice(0, MAX_PROBLEMS).map((error) => {
      const message = error.code === 'MULTIPLE_DOCS' ? 'A second document begins here; only one is read' : clean(error.message);
      return refuse(error.pos[0], 'CONFIG_SYNTAX', message);
    });
    return errors.length > 0 ? failed(...errors) : readTree(document);
  } catch (error) {
    return failed(
      refuse(0, 'CONFIG_SYNTAX', `This is no YAML that can be read (${error instanceof Error ? error.name : 'unknown error'})`),
    );
  }
};

parentPort.on('message', (text) => parentPort.postMessage(parse(text)));

// Between the judge and a function in JavaScript: arguments are JSON on standard input, the answer is JSON behind a
// nonce. What the program prints by the usual means goes to standard error. Values have the form of verigrad.values.
'use strict';

const fs = require('fs');
const vm = require('vm');

const { nonce, name, args, asBool } = JSON.parse(fs.readFileSync(0, 'utf8'));
const exit = process.reallyExit.bind(process);
const stringify = JSON.stringify;
const write = fs.writeSync;
const MAX_DEPTH = 50;
const SAFE = 2n ** 53n;

class NotPlain extends Error {}

function decode(form) {
  if (form === null || typeof form !== 'object') return form;
  if (Array.isArray(form)) return form.map(decode);
  const [[tag, body]] = Object.entries(form);
  if (tag === 'float') return { nan: NaN, inf: Infinity, '-inf': -Infinity }[body];
  if (tag === 'int') return body.startsWith('-') ? -BigInt(body.slice(1)) : BigInt(body);
  const items = body.map(decode);
  if (tag === 'set' || tag === 'frozenset') return new Set(items);
  if (tag !== 'dict') return items;
  return items.every(([key]) => typeof key === 'string') ? Object.fromEntries(items) : new Map(items);
}

function encode(value, depth = 0) {
  if (depth > MAX_DEPTH) throw new NotPlain(`the value is deeper than ${MAX_DEPTH} levels`);
  const inner = (item) => encode(item, depth + 1);
  if (value === null || value === undefined) return null;
  if (typeof value === 'boolean' || typeof value === 'string') return value;
  if (typeof value === 'number') {
    return Number.isFinite(value) ? value : { float: String(value).replace('Infinity', 'inf').toLowerCase() };
  }
  if (typeof value === 'bigint') {
    if (-SAFE <= value && value <= SAFE) return Number(value);
    return { int: value < 0n ? `-0x${(-value).toString(16)}` : `0x${value.toString(16)}` };
  }
  if (typeof value !== 'object') throw new NotPlain(`a ${typeof value} is no plain value`);
  if (Array.isArray(value) || ArrayBuffer.isView(value)) return Array.from(value, inner);
  if (value instanceof Set) return { set: Array.from(value, inner) };
  const pairs = value instanceof Map ? Array.from(value) : Object.entries(value);
  return { dict: pairs.map((pair) => pair.map((item) => encode(item, depth + 2))) };
}

function answer(form) {
  const text = Buffer.from(`${nonce}\n${stringify(form)}`);
  for (let sent = 0; sent < text.length;) sent += write(1, text, sent);
  exit(0);
}

function failure(kind, error) {
  const found = /program\.js:(\d+)/.exec((error && error.stack) || '');
  answer({ [kind]: String(error).slice(0, 500), line: found ? Number(found[1]) : null });
}

process.stdout.write = process.stderr.write.bind(process.stderr);
process.on('uncaughtException', (error) => failure('exception', error));
Object.assign(globalThis, { require, module: { exports: {} } });
globalThis.exports = globalThis.module.exports;

async function main() {
  vm.runInThisContext(fs.readFileSync('program.js', 'utf8'), { filename: 'program.js' });
  // A `const` at the top is no property of the global object, but a script can see it.
  const named = vm.runInThisContext(`typeof ${name} === 'undefined' ? undefined : ${name}`);
  const entry = typeof named === 'function' ? named : globalThis.module.exports[name];
  if (typeof entry !== 'function') return answer({ no_entry_point: `the program defines no function '${name}'` });
  const value = await entry(...args.map(decode));
  let form;
  try {
    form = encode(asBool ? Boolean(value) : value);
  } catch (error) {
    return failure(error instanceof NotPlain ? 'not_plain' : 'exception', error);
  }
  return answer({ value: form });
}

main().catch((error) => failure('exception', error));

// The part of the interpreter that is JavaScript: the globals of scripts, and what js.c asks for. host are its functions.
(function (host) {
  "use strict";

  const define = (object, properties) => {
    for (const name of Object.keys(properties))
      Object.defineProperty(object, name, { value: properties[name], writable: true, configurable: true, enumerable: false });
  };

  // --- errors

  class InvalidInput extends Error {}
  define(InvalidInput.prototype, { name: "InvalidInput" });

  const FRAMES = 20;

  // The lines of an error's stack, without the interpreter's own.
  function stackOf(error) {
    const lines = String(error.stack ?? "").split("\n").filter(line => line !== "" && !line.includes("<taskhost>"));
    return lines.length > FRAMES ? [...lines.slice(0, FRAMES), `    … ${lines.length - FRAMES} more`] : lines;
  }

  // Where in the script an error was thrown: upper.js:3.
  function placeOf(stack) {
    for (const line of stack) {
      const found = /([^\s()<>]+:\d+)\)?$/.exec(line);
      if (found) return found[1];
    }
    return "";
  }

  // An error of one of these kinds is mostly a mistake in the script, which is to be found.
  const mistakes = /^(Type|Reference|Range|Syntax|Eval|URI|Internal|Aggregate)Error$/;

  // What the host is told of an exception: whether the input is at fault (1), or memory is used up (2); the message, and below it the stack.
  function explain(error, loading) {
    if (!(error instanceof Error)) return [0, inspect(error) || "it threw an empty string"];
    const stack = stackOf(error), place = placeOf(stack);
    const name = String(error.name), message = String(error.message);
    const kind = error instanceof InvalidInput ? 1 : name === "InternalError" && message === "out of memory" ? 2 : 0;
    const full = message ? `${name}: ${message}` : name;
    let text = message || name;
    if (loading) text = place ? `${place}: ${full}` : full;
    else if (mistakes.test(name)) text = place ? `${full} (${place})` : full;
    return [kind, [text, ...stack].join("\n")];
  }

  function notJSON(error) {
    const line = /:(\d+)/.exec(error.stack ?? "");
    return new InvalidInput(`the input is not JSON: ${error.message}${line ? ` (line ${line[1]})` : ""}`);
  }

  // A value as people read it: text as it is, objects as JSON, which need not be what JSON can say.
  function inspect(value) {
    switch (typeof value) {
      case "string": return value;
      case "function": return `[function ${value.name}]`;
      case "bigint": return `${value}n`;
      case "object": break;
      default: return String(value);
    }
    if (value === null) return "null";
    if (value instanceof Error) return [String(value), ...stackOf(value)].join("\n");
    const above = [];
    function plain(key, v) {
      while (above.length && above[above.length - 1] !== this) above.pop();
      if (v instanceof Error) return String(v);
      if (v instanceof Map) v = Object.fromEntries(v);
      else if (v instanceof Set) v = Array.from(v);
      if (typeof v === "bigint" || typeof v === "function" || typeof v === "symbol") return inspect(v);
      if (typeof v === "object" && v !== null) {
        if (above.includes(v)) return "[circular]";
        above.push(v);
      }
      return v;
    }
    try {
      return JSON.stringify(value, plain);
    } catch {
      return String(value);
    }
  }

  // --- functions of the script

  const kinds = ["text", "bytes", "json"];
  const ARGUMENTS = 3;

  function callable(value) {
    return typeof value === "function" && !/^class\b/.test(Function.prototype.toString.call(value));
  }

  function describe(name, value) {
    const input = value.input ?? "text";
    if (typeof input === "object") return { name, value, input: ARGUMENTS, schema: schemaOf(name, input) };
    const kind = kinds.indexOf(input);
    if (kind < 0)
      throw new TypeError(`${name}.input is ${inspect(input)}: it can be "text", "bytes", "json", or arguments such as {name: "string", times: "integer?"}`);
    return { name, value, input: kind };
  }

  function listFunctions(exports) {
    const names = Object.keys(exports).filter(name => name !== "default" && callable(exports[name]));
    const list = names.map(name => describe(name, exports[name]));
    if ("default" in exports && callable(exports.default) && !names.includes("process")) list.push(describe("process", exports.default));
    if (list.length === 0) throw new Error("it exports no function; begin one with: export function process(input) {");
    return list;
  }

  // --- arguments, as the SDKs read them

  const types = ["string", "integer", "number", "bool", "array", "object", "any"];

  function schemaOf(name, input) {
    return Object.keys(input).map(argument => {
      const [, type, optional] = /^(\w+)(\??)$/.exec(input[argument]) ?? [];
      if (!types.includes(type))
        throw new TypeError(`${name}.input.${argument} is ${inspect(input[argument])}: it can be one of ${types.join(", ")}, with ? behind it if it may be left out`);
      return { name: argument, type, optional: optional === "?" };
    });
  }

  function typeOf(value) {
    if (Array.isArray(value)) return "array";
    return typeof value === "boolean" ? "bool" : typeof value;
  }

  function wrong(argument, value) {
    const type = typeOf(value);
    if (argument.type === "any" || argument.type === type) return "";
    if (argument.type !== "integer" || type !== "number") return `argument ${argument.name}: ${type} where ${argument.type} belongs`;
    if (Number.isSafeInteger(value)) return "";
    return `argument ${argument.name}: number ${Number.isInteger(value) ? BigInt(value) : value} where integer belongs`;
  }

  function readArguments(text, schema) {
    let given;
    try {
      given = /\S/.test(text) ? JSON.parse(text) : {};
    } catch (e) {
      if (!(e instanceof SyntaxError)) throw e;
      const more = e.message === "unexpected data at the end" && /^\s*\{/.test(text);
      throw new InvalidInput(more ? "something follows the JSON object of the arguments" : "the arguments are not a JSON object");
    }
    if (typeOf(given) !== "object" || given === null) throw new InvalidInput("the arguments are not a JSON object");
    const args = {};
    for (const name of Object.keys(given)) {
      const argument = schema.find(a => a.name === name);
      if (!argument) throw new InvalidInput(`there is no argument "${name}"`);
      if (given[name] === null) continue;
      const why = wrong(argument, given[name]);
      if (why) throw new InvalidInput(why);
      args[name] = given[name];
    }
    const missing = schema.find(a => !a.optional && !(a.name in args));
    if (missing) throw new InvalidInput(`argument ${missing.name} is missing`);
    return args;
  }

  // --- HTTP

  // Names and values, one after the other, of an object, a Map, Headers or a list of pairs.
  function pairs(of) {
    if (of === undefined || of === null) return [];
    const entries = typeof of[Symbol.iterator] === "function" ? Array.from(of) : Object.keys(of).map(name => [name, of[name]]);
    return entries.filter(([, value]) => value !== undefined).map(([name, value]) => [String(name), String(value)]).flat();
  }

  function send(url, { method = "GET", headers, body } = {}) {
    const sent = pairs(headers);
    const isData = typeof body !== "object" || body === null || ArrayBuffer.isView(body) || body instanceof ArrayBuffer;
    if (!isData && !sent.some((name, i) => i % 2 === 0 && name.toLowerCase() === "content-type")) sent.push("Content-Type", "application/json");
    return host.http(String(method), String(url), sent, body);
  }

  const ok = status => status >= 200 && status < 300;

  class HTTPResponse {
    constructor([status, headers, body]) {
      Object.assign(this, { status, ok: ok(status), headers, body });
    }
    text() { return host.decode(this.body); }
    json() { return JSON.parse(this.text()); }
  }

  const http = {
    request(request) {
      const { url, ...rest } = typeof request === "string" ? { url: request } : request;
      return new HTTPResponse(send(url, rest));
    },
  };

  class Headers {
    #map = new Map();
    constructor(init) {
      const list = pairs(init);
      for (let i = 0; i < list.length; i += 2) this.append(list[i], list[i + 1]);
    }
    append(name, value) { this.set(name, this.has(name) ? `${this.get(name)}, ${value}` : value); }
    set(name, value) { this.#map.set(String(name).toLowerCase(), String(value)); }
    get(name) { return this.#map.get(String(name).toLowerCase()) ?? null; }
    has(name) { return this.#map.has(String(name).toLowerCase()); }
    delete(name) { this.#map.delete(String(name).toLowerCase()); }
    forEach(f) { for (const [name, value] of this.#map) f(value, name, this); }
    entries() { return this.#map.entries(); }
    keys() { return this.#map.keys(); }
    values() { return this.#map.values(); }
    [Symbol.iterator]() { return this.#map.entries(); }
  }

  class Response {
    #body;
    constructor(url, [status, headers, body]) {
      this.#body = body;
      Object.assign(this, { url: String(url), status, ok: ok(status), headers: new Headers(headers) });
    }
    async bytes() { return this.#body; }
    async arrayBuffer() { return this.#body.buffer; }
    async text() { return host.decode(this.#body); }
    async json() { return JSON.parse(host.decode(this.#body)); }
  }

  async function fetch(url, options) {
    return new Response(url, send(url, options));
  }

  // --- metrics, logs

  function metric(kind, name, value, labels) {
    const why = host.metric(kind, String(name), Number(value), pairs(labels));
    if (why !== undefined) throw new Error(why);
  }

  const metrics = {
    add(name, value = 1, labels) { metric(0, name, value, labels); },
    set(name, value, labels) { metric(1, name, value, labels); },
    observe(name, value, labels) { metric(2, name, value, labels); },
  };

  const levels = ["trace", "debug", "info", "warn", "error"];
  const log = { enabled: level => host.logs(levels.indexOf(level)) };
  levels.forEach((name, level) => {
    log[name] = (...args) => {
      if (host.logs(level)) host.log(level, args.map(inspect).join(" "));
    };
  });
  const { trace, debug, info, warn, error } = log;

  // --- text, randomness

  // Whether some bytes are the others, which may begin with a mark of the byte order.
  function sameEnd(bytes, all) {
    const mark = all.length - bytes.length;
    return (mark === 0 || mark === 3) && bytes.every((b, i) => b === all[i + mark]);
  }

  class TextEncoder {
    get encoding() { return "utf-8"; }
    encode(text = "") { return host.encode(String(text)); }
  }

  class TextDecoder {
    constructor(label = "utf-8", { fatal = false } = {}) {
      if (!/^utf-?8$/i.test(label)) throw new RangeError(`TextDecoder knows utf-8, not ${label}`);
      this.fatal = fatal;
    }
    get encoding() { return "utf-8"; }
    decode(bytes) {
      const text = host.decode(bytes);
      if (this.fatal && !sameEnd(host.encode(text), host.bytes(bytes))) throw new TypeError("TextDecoder: the bytes are not UTF-8");
      return text;
    }
  }

  const crypto = {
    getRandomValues(array) {
      host.fill(array);
      return array;
    },
    randomUUID() {
      const b = crypto.getRandomValues(new Uint8Array(16));
      b[6] = (b[6] & 0x0f) | 0x40;
      b[8] = (b[8] & 0x3f) | 0x80;
      return Array.from(b, v => v.toString(16).padStart(2, "0")).join("").replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
    },
  };

  // --- timers: while a call waits for a promise, they run one after the other, at their time

  let timers = [], lastTimer = 0;

  function addTimer(run, delay, every) {
    if (typeof run !== "function") throw new TypeError("a timer needs a function");
    host.timer();
    delay = Math.min(Math.max(0, Number(delay) || 0), 2 ** 31 - 1);
    timers.push({ id: ++lastTimer, run, at: host.now() + delay, every: every ? Math.max(1, delay) : 0 });
    return lastTimer;
  }

  function clearTimer(id) {
    timers = timers.filter(t => t.id !== id);
  }

  function runTimer() {
    if (timers.length === 0) return false;
    const next = timers.reduce((a, b) => (b.at < a.at ? b : a));
    host.sleep(next.at - host.now());
    if (next.every) next.at += next.every;
    else clearTimer(next.id);
    next.run();
    return true;
  }

  // --- globals

  define(globalThis, {
    InvalidInput, fetch, Headers, http, metrics, log, crypto, TextEncoder, TextDecoder,
    progress: host.progress,
    cancelled: host.cancelled,
    config: { get: host.config },
    vars: { get: host.get, set: host.set },
    checkpoint: { save: host.save, load: host.load },
    console: { log: info, info, debug, warn, error, trace },
    atob: host.atob,
    btoa: host.btoa,
    performance: { now: host.now },
    queueMicrotask: run => void Promise.resolve().then(run),
    setTimeout: (run, delay, ...args) => addTimer(args.length ? () => run(...args) : run, delay, false),
    setInterval: (run, delay, ...args) => addTimer(args.length ? () => run(...args) : run, delay, true),
    clearTimeout: clearTimer,
    clearInterval: clearTimer,
  });
  define(Math, { random: host.random });

  // --- newer parts of the language's library that QuickJS does not have yet

  function add(object, properties) {
    for (const name of Object.keys(properties)) if (!(name in object)) define(object, { [name]: properties[name] });
  }

  function at(i) {
    i = Math.trunc(i) || 0;
    return this[i < 0 ? this.length + i : i];
  }

  add(Array.prototype, {
    at,
    findLast(f, self) {
      for (let i = this.length - 1; i >= 0; i--) if (f.call(self, this[i], i, this)) return this[i];
    },
    findLastIndex(f, self) {
      for (let i = this.length - 1; i >= 0; i--) if (f.call(self, this[i], i, this)) return i;
      return -1;
    },
    toReversed() { return Array.from(this).reverse(); },
    toSorted(compare) { return Array.from(this).sort(compare); },
    toSpliced(...args) {
      const copy = Array.from(this);
      copy.splice(...args);
      return copy;
    },
    with(i, value) {
      const copy = Array.from(this), index = i < 0 ? copy.length + i : i;
      if (!(index >= 0 && index < copy.length)) throw new RangeError(`index ${i} is out of range`);
      copy[index] = value;
      return copy;
    },
  });
  add(Object.getPrototypeOf(Uint8Array.prototype), { at });
  add(String.prototype, { at });
  add(Object, {
    hasOwn: (object, name) => Object.prototype.hasOwnProperty.call(object, name),
    groupBy(items, key) {
      const groups = Object.create(null);
      let i = 0;
      for (const item of items) (groups[key(item, i++)] ??= []).push(item);
      return groups;
    },
  });
  add(Promise, {
    withResolvers() {
      let resolve, reject;
      const promise = new Promise((yes, no) => ([resolve, reject] = [yes, no]));
      return { promise, resolve, reject };
    },
  });

  // QuickJS makes its own functions when they are first looked up. What is in the snapshot is made once, and not in each task.
  function make(object, made) {
    if ((typeof object !== "object" && typeof object !== "function") || object === null || made.has(object)) return;
    made.add(object);
    make(Object.getPrototypeOf(object), made);
    for (const name of Reflect.ownKeys(object)) {
      const { value, get, set } = Object.getOwnPropertyDescriptor(object, name);
      for (const part of [value, get, set]) make(part, made);
    }
  }

  const made = new Set();
  make(globalThis, made);
  const iterators = [[][Symbol.iterator](), new Map().entries(), new Set().values(), ""[Symbol.iterator](), "a".matchAll(/a/g)];
  for (const object of [...iterators, function* () {}, async () => {}, async function* () {}]) make(object, made);

  return { explain, notJSON, readArguments, listFunctions, runTimer, forgetTimers: () => (timers = []) };
})

// @taskhost/sdk turns AssemblyScript functions into plugins for taskhost (https://github.com/taskhost/taskhost).
//
//   import { inputText, invalidInput, outputText } from "@taskhost/sdk";
//
//   export function process(): i32 {
//     const text = inputText();
//     if (text.length == 0) return invalidInput("there is nothing to shout");
//     return outputText(text.toUpperCase());
//   }
//
// An exported function without parameters is a step or an action that tasks can call by its name. It returns 0 for success and anything else
// for failure, with the message of fail or invalidInput.
//
// Errors: what the host does not grant, or what goes past a limit, ends the call inside the function that asked. Other errors are returned
// as a string, or null for none. What AssemblyScript aborts with (throw, a failed assert, an index out of range) becomes the error of the call,
// with its file and line, when the module is compiled with the option that README.md shows.
//
// A module holds the imports of those functions alone that it uses.

// --- the host's functions

@external("extism:host/env", "alloc") declare function envAlloc(length: u64): u64;
@external("extism:host/env", "free") declare function envFree(offset: u64): void;
@external("extism:host/env", "length") declare function envLength(offset: u64): u64;
@external("extism:host/env", "input_offset") declare function envInputOffset(): u64;
@external("extism:host/env", "input_length") declare function envInputLength(): u64;
@external("extism:host/env", "output_set") declare function envOutputSet(offset: u64, length: u64): void;
@external("extism:host/env", "error_set") declare function envErrorSet(offset: u64): void;
@external("extism:host/env", "config_get") declare function envConfigGet(key: u64): u64;
@external("extism:host/env", "var_get") declare function envVarGet(key: u64): u64;
@external("extism:host/env", "var_set") declare function envVarSet(key: u64, value: u64): void;
@external("extism:host/env", "http_request") declare function envHttpRequest(meta: u64, body: u64): u64;
@external("extism:host/env", "http_status_code") declare function envHttpStatusCode(): i32;
@external("extism:host/env", "http_headers") declare function envHttpHeaders(): u64;
@external("extism:host/env", "log_trace") declare function envLogTrace(message: u64): void;
@external("extism:host/env", "log_debug") declare function envLogDebug(message: u64): void;
@external("extism:host/env", "log_info") declare function envLogInfo(message: u64): void;
@external("extism:host/env", "log_warn") declare function envLogWarn(message: u64): void;
@external("extism:host/env", "log_error") declare function envLogError(message: u64): void;
@external("extism:host/env", "get_log_level") declare function envGetLogLevel(): i32;
@external("extism:host/user", "taskhost_progress")
declare function userProgress(step: i32, total: i32, fraction: f64, message: u64): void;
@external("extism:host/user", "taskhost_cancelled") declare function userCancelled(): i32;
@external("extism:host/user", "taskhost_metric_add") declare function userMetricAdd(name: u64, value: f64, labels: u64): u64;
@external("extism:host/user", "taskhost_metric_set") declare function userMetricSet(name: u64, value: f64, labels: u64): u64;
@external("extism:host/user", "taskhost_metric_observe") declare function userMetricObserve(name: u64, value: f64, labels: u64): u64;
@external("extism:host/user", "taskhost_invalid_input") declare function userInvalidInput(message: u64): void;
@external("extism:host/user", "taskhost_checkpoint_save") declare function userCheckpointSave(state: u64): u64;
@external("extism:host/user", "taskhost_checkpoint_load") declare function userCheckpointLoad(): u64;
@external("extism:host/user", "taskhost_read") declare function userRead(offset: u64, to: usize, length: u32): void;
@external("extism:host/user", "taskhost_write") declare function userWrite(offset: u64, from: usize, length: u32): void;
@external("wasi_snapshot_preview1", "random_get") declare function wasiRandomGet(to: usize, length: u32): i32;

function store(from: usize, length: i32): u64 {
  if (length == 0) return 0;
  const offset = envAlloc(length);
  userWrite(offset, from, length);
  return offset;
}

function storeBytes(bytes: Uint8Array): u64 {
  return store(bytes.dataStart, bytes.length);
}

function storeText(text: string): u64 {
  const bytes = String.UTF8.encode(text);
  return store(changetype<usize>(bytes), bytes.byteLength);
}

function read(offset: u64, length: u64): Uint8Array {
  const bytes = new Uint8Array(length as i32);
  if (length) userRead(offset, bytes.dataStart, length as u32);
  return bytes;
}

// Loads a block and frees it; null: there is none.
function take(offset: u64): Uint8Array | null {
  if (offset == 0) return null;
  const bytes = read(offset, envLength(offset));
  envFree(offset);
  return bytes;
}

function takeText(offset: u64): string | null {
  const bytes = take(offset);
  return bytes ? decode(bytes) : null;
}

function decode(bytes: Uint8Array): string {
  return String.UTF8.decodeUnsafe(bytes.dataStart, bytes.length);
}

function release(offset: u64): void {
  if (offset) envFree(offset);
}

// --- the call

/** The input of the call, not checked to be UTF-8. Each time makes a copy, which is the plugin's. */
export function input(): Uint8Array {
  return read(envInputOffset(), envInputLength());
}

/** The input of the call as text. What is not UTF-8 in it becomes other characters: use input() for bytes. */
export function inputText(): string {
  return decode(input());
}

/** Makes bytes the output of the call, in place of what was set before. Returns 0: `return output(bytes);`. */
export function output(bytes: Uint8Array): i32 {
  envOutputSet(storeBytes(bytes), bytes.length);
  return 0;
}

/** Makes text the output of the call, as output does. */
export function outputText(text: string): i32 {
  const bytes = String.UTF8.encode(text);
  envOutputSet(store(changetype<usize>(bytes), bytes.byteLength), bytes.byteLength);
  return 0;
}

/** Makes a message the error of the call and returns 1: `return fail("no title");`. The task may be tried again. */
export function fail(message: string): i32 {
  envErrorSet(storeText(message));
  return 1;
}

/** fail, for an error of the input: the task is not tried again. */
export function invalidInput(message: string): i32 {
  userInvalidInput(storeText(message));
  return 1;
}

/**
 * What AssemblyScript calls when it gives up. The message, with file and line, is the error of the call, which ends.
 * It is used with the compiler's option `--use abort=…`, see README.md.
 */
export function abort(message: string | null, file: string | null, line: u32, column: u32): void {
  const text = "panic: " + (message ? message : "abort") + " (" + (file ? file : "?") + ":" + line.toString() + ")";
  envErrorSet(storeText(text));
  unreachable();
}

/** Where Math.random begins, for the compiler's option `--use seed=…`. */
export function seed(): f64 {
  const at = memory.data(8);
  wasiRandomGet(at, 8);
  return <f64>load<u64>(at);
}

// --- while it runs

/**
 * Reports that step of total steps are done, with a message for whoever watches, or "". A total of 0 means that it is not known; what is out of
 * range is clamped. It is cheap, so a loop may call it each time round.
 */
export function progress(step: i32, total: i32, message: string = ""): void {
  const m = storeText(message);
  userProgress(step, total, NaN, m);
  release(m);
}

/** Reports progress as a number from 0 to 1. */
export function progressFraction(fraction: f64, message: string = ""): void {
  const m = storeText(message);
  userProgress(0, 0, fraction, m);
  release(m);
}

/**
 * Whether the task is to stop. A function that sees true can tidy up, in the time that the manifest's cancel_grace_ms gives, and
 * `return fail("cancelled")`; one that never asks is stopped all the same.
 */
export function cancelled(): bool {
  return userCancelled() != 0;
}

/** The value of a configuration key, from the call, else from the plugin's manifest. null: there is none, or it is empty. */
export function config(key: string): string | null {
  const k = storeText(key);
  const value = takeText(envConfigGet(k));
  release(k);
  return value;
}

/** The levels of messages. */
export enum Level {
  Trace,
  Debug,
  Info,
  Warn,
  Error,
}

/** Whether the host takes messages of a level. */
export function logs(level: Level): bool {
  return <i32>level >= envGetLogLevel();
}

/**
 * Writes a message to the host's log, at level info unless another is named. Below the host's level it does nothing. The host bounds the bytes
 * that one call can log: past that the call ends.
 */
export function log(message: string, level: Level = Level.Info): void {
  if (!logs(level)) return;
  const m = storeText(message);
  switch (level) {
    case Level.Trace:
      envLogTrace(m);
      break;
    case Level.Debug:
      envLogDebug(m);
      break;
    case Level.Info:
      envLogInfo(m);
      break;
    case Level.Warn:
      envLogWarn(m);
      break;
    default:
      envLogError(m);
  }
  release(m);
}

/**
 * Labels of a metric, name to value. Each set of values is kept for as long as the plugin is loaded, so values are words from a short list,
 * never ids or input.
 */
export type Labels = Map<string, string>;

/** labels(["kind", "page"]) are labels from names and values that take turns. */
export function labels(pairs: string[]): Labels {
  const map = new Map<string, string>();
  for (let i = 0; i + 1 < pairs.length; i += 2) map.set(pairs[i], pairs[i + 1]);
  return map;
}

/**
 * Adds to a counter, which shows as taskhost_plugin_NAME with the label plugin. The name begins with a lower-case letter and has only those,
 * digits and underscores; the value is not negative. Returns null, or why the host did not take it: a bad name, too many names or sets of labels.
 */
export function metricAdd(name: string, value: f64, labels: Labels | null = null): string | null {
  const n = storeText(name);
  const l = storeMap(labels);
  return rejected(userMetricAdd(n, value, l), n, l);
}

/** Sets a gauge; otherwise it is as metricAdd, and the value may be negative. */
export function metricSet(name: string, value: f64, labels: Labels | null = null): string | null {
  const n = storeText(name);
  const l = storeMap(labels);
  return rejected(userMetricSet(n, value, l), n, l);
}

/** Puts a value into a histogram; otherwise it is as metricAdd, and the value may be negative. */
export function metricObserve(name: string, value: f64, labels: Labels | null = null): string | null {
  const n = storeText(name);
  const l = storeMap(labels);
  return rejected(userMetricObserve(n, value, l), n, l);
}

function storeMap(map: Labels | null): u64 {
  return map && map.size > 0 ? storeText(Json.ofMap(map).toString()) : 0;
}

function rejected(message: u64, a: u64, b: u64): string | null {
  release(a);
  release(b);
  return takeText(message);
}

/**
 * A var: a value that a call before this one left with setVar. Vars last as long as the sandbox, which by default is one call; the manifest's
 * isolation "reuse" makes them last, and a call of an agent with memory brings its own. null: there is none; an empty value counts as none.
 */
export function getVar(key: string): Uint8Array | null {
  return take(envVarGet(storeText(key))); // which frees the key
}

/** Sets a var; null or an empty value removes it. The host bounds the bytes of all vars together: past that the call ends. */
export function setVar(key: string, value: Uint8Array | null): void {
  const k = storeText(key);
  envVarSet(k, value ? storeBytes(value) : 0); // which frees both
}

/**
 * Keeps a state for a later attempt of the task, which goes on from there; null or an empty one forgets it. Returns when the state is stored,
 * which may take some milliseconds: null, or why it was not kept. It is larger than 64 KiB, the host's store failed, or the call is no attempt
 * of a task. Mostly it is right to go on without.
 */
export function saveCheckpoint(state: Uint8Array | null): string | null {
  const s = state ? storeBytes(state) : 0;
  return rejected(userCheckpointSave(s), s, 0);
}

/** The state that was saved last, by this attempt of the task or an earlier one; null: there is none. */
export function loadCheckpoint(): Uint8Array | null {
  return take(userCheckpointLoad());
}

/** An HTTP request. */
export class Request {
  method: string = "GET";
  headers: Map<string, string> = new Map();
  body: Uint8Array | null = null;
  /** http or https, to a host that the manifest allows. */
  constructor(public url: string) {}
}

/** The answer to a Request. */
export class Response {
  constructor(
    public status: i32,
    /** Names in lower case; values of the same name joined with commas. */
    public headers: Map<string, string>,
    public body: Uint8Array,
  ) {}
  text(): string {
    return decode(this.body);
  }
}

/**
 * Makes a request through the host. An answer with any status is an answer. What is not one ends the call: a host that the manifest does not
 * allow, no connection, a body past the manifest's bound.
 */
export function http(request: Request): Response {
  const meta = Json.object().set("method", Json.string(request.method)).set("url", Json.string(request.url));
  if (request.headers.size > 0) meta.set("headers", Json.ofMap(request.headers));
  const m = storeText(meta.toString());
  const body = request.body;
  const answer = take(envHttpRequest(m, body ? storeBytes(body) : 0)); // which frees both
  const response = new Response(envHttpStatusCode(), new Map(), answer ? answer : new Uint8Array(0));
  const headers = takeText(envHttpHeaders());
  if (headers) {
    const parsed = Json.parse(headers);
    if (parsed) {
      for (let i = 0; i < parsed.names.length; i++) response.headers.set(parsed.names[i], parsed.values[i].text);
    }
  }
  return response;
}

// --- actions: a JSON object in, a JSON object out

/**
 * The arguments of the call, a JSON object. No input counts as one without arguments, and null as an argument that is not there.
 *
 *   const args = new Args();
 *   const name = args.string("name");          // has to be there
 *   const times = args.integerOr("times", 1);  // or else 1
 *   if (args.wrong()) return 1;
 *
 * The functions note what is wrong and go on; wrong tells the host, also when there is an argument that none of them asked for.
 */
export class Args {
  private object: Json = Json.object();
  private error: string = "";
  private asked: Set<string> = new Set();

  constructor() {
    const at = new Parser(inputText());
    if (!at.end()) {
      const value = at.peek() == 0x7b ? at.value() : null;
      if (!value) {
        this.error = "the arguments are not a JSON object";
      } else if (!at.end()) {
        this.error = "something follows the JSON object of the arguments";
      } else {
        this.object = value;
      }
    }
  }

  /** Whether the argument is there. */
  has(name: string): bool {
    return this.find(name) != null;
  }

  /** A text that has to be there. */
  string(name: string): string {
    const v = this.take(name, Kind.String, true);
    return v ? v.text : "";
  }

  /** A text, or another when it is not there. */
  stringOr(name: string, other: string): string {
    const v = this.take(name, Kind.String, false);
    return v ? v.text : other;
  }

  /** A whole number that has to be there. */
  integer(name: string): i64 {
    const v = this.take(name, Kind.Number, true, "integer");
    return v ? this.whole(name, v) : 0;
  }

  /** A whole number, or another when it is not there. */
  integerOr(name: string, other: i64): i64 {
    const v = this.take(name, Kind.Number, false, "integer");
    return v ? this.whole(name, v) : other;
  }

  /** A number that has to be there. */
  number(name: string): f64 {
    const v = this.take(name, Kind.Number, true);
    return v ? v.number() : 0;
  }

  /** A number, or another when it is not there. */
  numberOr(name: string, other: f64): f64 {
    const v = this.take(name, Kind.Number, false);
    return v ? v.number() : other;
  }

  /** true or false, which has to be there. */
  bool(name: string): bool {
    const v = this.take(name, Kind.Bool, true);
    return v ? v.bool() : false;
  }

  /** true or false, or another when it is not there. */
  boolOr(name: string, other: bool): bool {
    const v = this.take(name, Kind.Bool, false);
    return v ? v.bool() : other;
  }

  /** Any value; null when it is not there. */
  json(name: string): Json | null {
    return this.find(name);
  }

  /** Whether something is wrong with the arguments. It is the error of the call then, invalid input, and the function returns 1. */
  wrong(): bool {
    const names = this.object.names;
    for (let i = 0; i < names.length && this.error.length == 0; i++) {
      if (!this.asked.has(names[i])) this.error = "there is no argument " + Json.string(names[i]).toString();
    }
    if (this.error.length == 0) return false;
    invalidInput(this.error);
    return true;
  }

  private find(name: string): Json | null {
    this.asked.add(name);
    const v = this.object.get(name);
    return v && v.kind != Kind.Null ? v : null;
  }

  private take(name: string, kind: Kind, required: bool, wanted: string = kindName(kind)): Json | null {
    const v = this.find(name);
    if (!v) {
      if (required) this.note("argument " + name + " is missing");
      return null;
    }
    if (v.kind == kind) return v;
    this.note("argument " + name + ": " + kindName(v.kind) + " where " + wanted + " belongs");
    return null;
  }

  private whole(name: string, v: Json): i64 {
    if (!v.isInteger()) {
      this.note("argument " + name + ": number " + v.text + " where integer belongs");
      return 0;
    }
    return v.integer();
  }

  private note(message: string): void {
    if (this.error.length == 0) this.error = message;
  }
}

/** Makes a JSON object the output of the call, and returns 0. */
export function reply(object: Json): i32 {
  if (object.kind != Kind.Object) return fail("the action's result is " + kindName(object.kind) + ", which is not a JSON object");
  return outputText(object.toString());
}

// --- JSON

/** The kinds of JSON values. */
export enum Kind {
  Null,
  Bool,
  Number,
  String,
  Array,
  Object,
}

function kindName(kind: Kind): string {
  switch (kind) {
    case Kind.Null:
      return "null";
    case Kind.Bool:
      return "bool";
    case Kind.Number:
      return "number";
    case Kind.String:
      return "string";
    case Kind.Array:
      return "array";
    default:
      return "object";
  }
}

/** A JSON value. Numbers are kept as they are written. */
export class Json {
  /** Names of an object's members, in their order. */
  names: string[] = [];
  /** Members of an object, items of an array. */
  values: Json[] = [];
  private index: Map<string, i32> | null = null;

  private constructor(
    public kind: Kind,
    /** The text of a string; what else is no array and no object, as it is written. */
    public text: string,
  ) {}

  static null(): Json {
    return new Json(Kind.Null, "null");
  }
  static bool(value: bool): Json {
    return new Json(Kind.Bool, value ? "true" : "false");
  }
  static integer(value: i64): Json {
    return new Json(Kind.Number, value.toString());
  }
  /** A number; null when it is not finite. */
  static number(value: f64): Json {
    if (!isFinite(value)) return Json.null();
    const text = value.toString();
    return new Json(Kind.Number, text.endsWith(".0") ? text.substring(0, text.length - 2) : text);
  }
  static string(value: string): Json {
    return new Json(Kind.String, value);
  }
  static array(): Json {
    return new Json(Kind.Array, "");
  }
  static object(): Json {
    return new Json(Kind.Object, "");
  }
  static ofMap(map: Map<string, string>): Json {
    const object = Json.object();
    const keys = map.keys();
    for (let i = 0; i < keys.length; i++) object.set(keys[i], Json.string(map.get(keys[i])));
    return object;
  }
  /** @internal A number as it is written. */
  static raw(text: string): Json {
    return new Json(Kind.Number, text);
  }

  /** The value of a JSON text; null when it is none. */
  static parse(text: string): Json | null {
    const at = new Parser(text);
    const value = at.value();
    return value && at.end() ? value : null;
  }

  /** Sets a member of an object, and returns the object. */
  set(name: string, value: Json): Json {
    let index = this.index;
    if (!index) {
      index = new Map<string, i32>();
      this.index = index;
    }
    if (index.has(name)) {
      this.values[index.get(name)] = value;
      return this;
    }
    index.set(name, this.names.length);
    this.names.push(name);
    this.values.push(value);
    return this;
  }

  /** Appends an item to an array, and returns the array. */
  push(value: Json): Json {
    this.values.push(value);
    return this;
  }

  /** A member of an object; null when there is none. */
  get(name: string): Json | null {
    const index = this.index;
    return index && index.has(name) ? this.values[index.get(name)] : null;
  }

  /** Whether it is a number without a fraction or an exponent that fits into an i64. */
  isInteger(): bool {
    if (this.kind != Kind.Number) return false;
    const negative = this.text.charCodeAt(0) == 0x2d;
    const limit = <u64>i64.MAX_VALUE + (negative ? 1 : 0);
    let value: u64 = 0;
    for (let i = negative ? 1 : 0; i < this.text.length; i++) {
      const digit = <u64>(this.text.charCodeAt(i) - 0x30);
      if (digit > 9 || value > (limit - digit) / 10) return false;
      value = value * 10 + digit;
    }
    return true;
  }

  /** The value of a number as a whole one, 0 if it is none. */
  integer(): i64 {
    return this.isInteger() ? I64.parseInt(this.text) : 0;
  }

  /** The value of a number. */
  number(): f64 {
    return F64.parseFloat(this.text);
  }

  /** The value of a bool. */
  bool(): bool {
    return this.kind == Kind.Bool && this.text == "true";
  }

  /** The value as JSON text. */
  toString(): string {
    const out: string[] = [];
    this.write(out);
    return out.join("");
  }

  private write(out: string[]): void {
    switch (this.kind) {
      case Kind.String:
        quote(this.text, out);
        return;
      case Kind.Array:
      case Kind.Object: {
        const object = this.kind == Kind.Object;
        out.push(object ? "{" : "[");
        for (let i = 0; i < this.values.length; i++) {
          if (i > 0) out.push(",");
          if (object) {
            quote(this.names[i], out);
            out.push(":");
          }
          this.values[i].write(out);
        }
        out.push(object ? "}" : "]");
        return;
      }
      default:
        out.push(this.text);
    }
  }
}

function quote(text: string, out: string[]): void {
  out.push('"');
  let done = 0;
  for (let i = 0; i < text.length; i++) {
    const c = text.charCodeAt(i);
    if (c >= 0x20 && c != 0x22 && c != 0x5c) continue;
    out.push(text.substring(done, i));
    done = i + 1;
    switch (c) {
      case 0x22:
        out.push('\\"');
        break;
      case 0x5c:
        out.push("\\\\");
        break;
      case 0x0a:
        out.push("\\n");
        break;
      case 0x0d:
        out.push("\\r");
        break;
      case 0x09:
        out.push("\\t");
        break;
      default:
        out.push("\\u00" + (c < 16 ? "0" : "") + c.toString(16));
    }
  }
  out.push(text.substring(done));
  out.push('"');
}

// Reads JSON. A value that is none is null, and nothing is read after it.
class Parser {
  private at: i32 = 0;
  private depth: i32 = 0;
  constructor(private text: string) {}

  peek(): i32 {
    while (this.at < this.text.length) {
      const c = this.text.charCodeAt(this.at);
      if (c != 0x20 && c != 0x0a && c != 0x0d && c != 0x09) return c;
      this.at++;
    }
    return -1;
  }

  end(): bool {
    return this.peek() < 0;
  }

  private accept(c: i32): bool {
    if (this.peek() != c) return false;
    this.at++;
    return true;
  }

  value(): Json | null {
    switch (this.peek()) {
      case 0x7b:
        return this.object();
      case 0x5b:
        return this.array();
      case 0x22: {
        const s = this.string();
        return s !== null ? Json.string(s) : null;
      }
      case 0x6e:
        return this.word("null") ? Json.null() : null;
      case 0x74:
        return this.word("true") ? Json.bool(true) : null;
      case 0x66:
        return this.word("false") ? Json.bool(false) : null;
      default:
        return this.numeral();
    }
  }

  private object(): Json | null {
    const object = Json.object();
    this.at++;
    if (this.accept(0x7d)) return object;
    if (++this.depth > 200) return null;
    do {
      if (this.peek() != 0x22) return null;
      const name = this.string();
      if (name === null || !this.accept(0x3a)) return null;
      const value = this.value();
      if (!value) return null;
      object.set(name, value);
    } while (this.accept(0x2c));
    this.depth--;
    return this.accept(0x7d) ? object : null;
  }

  private array(): Json | null {
    const array = Json.array();
    this.at++;
    if (this.accept(0x5d)) return array;
    if (++this.depth > 200) return null;
    do {
      const value = this.value();
      if (!value) return null;
      array.push(value);
    } while (this.accept(0x2c));
    this.depth--;
    return this.accept(0x5d) ? array : null;
  }

  private word(word: string): bool {
    if (this.text.substr(this.at, word.length) != word) return false;
    this.at += word.length;
    return true;
  }

  private digits(): bool {
    const from = this.at;
    while (this.at < this.text.length) {
      const c = this.text.charCodeAt(this.at);
      if (c < 0x30 || c > 0x39) break;
      this.at++;
    }
    return this.at > from;
  }

  private next(c: i32): bool {
    return this.at < this.text.length && this.text.charCodeAt(this.at) == c;
  }

  private numeral(): Json | null {
    const from = this.at;
    if (this.next(0x2d)) this.at++;
    const first = this.at;
    if (!this.digits() || (this.text.charCodeAt(first) == 0x30 && this.at > first + 1)) return null;
    if (this.next(0x2e)) {
      this.at++;
      if (!this.digits()) return null;
    }
    if (this.next(0x65) || this.next(0x45)) {
      this.at++;
      if (this.next(0x2b) || this.next(0x2d)) this.at++;
      if (!this.digits()) return null;
    }
    return Json.raw(this.text.substring(from, this.at));
  }

  private string(): string | null {
    this.at++;
    const parts: string[] = [];
    let done = this.at;
    while (this.at < this.text.length) {
      const c = this.text.charCodeAt(this.at++);
      if (c < 0x20) return null;
      if (c == 0x22) {
        const rest = this.text.substring(done, this.at - 1);
        if (parts.length == 0) return rest;
        parts.push(rest);
        return parts.join("");
      }
      if (c != 0x5c) continue;
      parts.push(this.text.substring(done, this.at - 1));
      if (this.at == this.text.length) return null;
      let rune = this.text.charCodeAt(this.at++);
      switch (rune) {
        case 0x22:
        case 0x5c:
        case 0x2f:
          break;
        case 0x62:
          rune = 0x08;
          break;
        case 0x66:
          rune = 0x0c;
          break;
        case 0x6e:
          rune = 0x0a;
          break;
        case 0x72:
          rune = 0x0d;
          break;
        case 0x74:
          rune = 0x09;
          break;
        case 0x75:
          rune = this.hex();
          if (rune < 0) return null;
          break;
        default:
          return null;
      }
      parts.push(String.fromCharCode(rune));
      done = this.at;
    }
    return null;
  }

  private hex(): i32 {
    let value = 0;
    for (let i = 0; i < 4; i++) {
      if (this.at == this.text.length) return -1;
      const c = this.text.charCodeAt(this.at++);
      const lower = c | 0x20;
      if (c >= 0x30 && c <= 0x39) value = value * 16 + (c - 0x30);
      else if (lower >= 0x61 && lower <= 0x66) value = value * 16 + (lower - 0x57);
      else return -1;
    }
    return value;
  }
}

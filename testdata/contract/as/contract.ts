// The contract plugin in AssemblyScript: what testdata/contract_test.go calls in each language. See there for what the functions do.

import * as taskhost from "../../../sdk/assemblyscript/assembly/index";
import { inputText, outputText } from "../../../sdk/assemblyscript/assembly/index";

export function echo(): i32 {
  return taskhost.output(taskhost.input());
}

export function upper(): i32 {
  const text = inputText();
  const lines = text.split("\n");
  const out = new Array<string>(lines.length);
  for (let i = 0; i < lines.length; i++) {
    taskhost.progress(i + 1, lines.length, lines[i]);
    out[i] = ascii(lines[i]);
  }
  return outputText(out.join("\n"));
}

function ascii(text: string): string {
  let out = "";
  for (let i = 0; i < text.length; i++) {
    const c = text.charCodeAt(i);
    out += String.fromCharCode(c >= 0x61 && c <= 0x7a ? c - 0x20 : c);
  }
  return out;
}

export function fail(): i32 {
  return taskhost.fail(inputText());
}

export function invalid(): i32 {
  return taskhost.invalidInput(inputText());
}

export function panic(): i32 {
  throw new Error(inputText());
}

export function trap(): i32 {
  return unreachable();
}

export function action(): i32 {
  const args = new taskhost.Args();
  const name = args.string("name");
  const times = args.integerOr("times", 0);
  const loud = args.boolOr("loud", false);
  const scale = args.numberOr("scale", 0);
  if (args.wrong()) return 1;
  const object = taskhost.Json.object();
  object.set("name", taskhost.Json.string(name)).set("times", taskhost.Json.integer(times));
  object.set("loud", taskhost.Json.bool(loud)).set("scale", taskhost.Json.number(scale));
  return taskhost.reply(object);
}

export function config(): i32 {
  const value = taskhost.config(inputText());
  return value === null ? taskhost.fail("no such key") : outputText(value);
}

export function logs(): i32 {
  const text = inputText();
  taskhost.log(text, taskhost.Level.Debug);
  taskhost.log(text);
  taskhost.log(text, taskhost.Level.Warn);
  taskhost.log(text, taskhost.Level.Error);
  return 0;
}

export function metrics(): i32 {
  let why = taskhost.metricAdd("pages_total", 2, taskhost.labels(["kind", "a"]));
  if (!why) why = taskhost.metricSet("level", -1);
  if (!why) why = taskhost.metricObserve("seconds", 0.5);
  if (why) return taskhost.fail(why);
  why = taskhost.metricAdd("Pages", 1);
  return outputText(why ? why : "taken");
}

export function vars(): i32 {
  const old = taskhost.getVar("kept");
  taskhost.setVar("kept", taskhost.input());
  taskhost.setVar("gone", null);
  return old ? taskhost.output(old) : outputText("none");
}

export function http(): i32 {
  const request = new taskhost.Request(inputText());
  request.method = "PUT";
  request.headers.set("X-Sent", "1");
  request.body = Uint8Array.wrap(String.UTF8.encode("b"));
  const r = taskhost.http(request);
  return outputText(r.status.toString() + " " + r.text());
}

export function header(): i32 {
  const r = taskhost.http(new taskhost.Request(inputText()));
  return outputText(r.headers.get("x-seen"));
}

export function checkpoint(): i32 {
  const input = inputText();
  let state: Uint8Array | null = null;
  if (input == "much") {
    state = new Uint8Array((64 << 10) + 1);
  } else if (input != "forget") {
    const old = taskhost.loadCheckpoint();
    const text = (old ? String.UTF8.decode(old.buffer) : "") + input;
    state = Uint8Array.wrap(String.UTF8.encode(text));
  }
  const why = taskhost.saveCheckpoint(state);
  if (why) return taskhost.fail(why);
  const kept = taskhost.loadCheckpoint();
  return kept ? taskhost.output(kept) : 0;
}

export function fraction(): i32 {
  taskhost.progress(1, 4, "one of four");
  taskhost.progressFraction(0.5, "half");
  taskhost.progress(5, 3);
  return outputText(taskhost.cancelled().toString());
}

export function cancel(): i32 {
  taskhost.progress(0, 1);
  while (!taskhost.cancelled()) {}
  return taskhost.fail("tidied up");
}

let count: i32 = 0;

export function loop(): i32 {
  taskhost.progress(0, 1);
  while (true) count++;
}

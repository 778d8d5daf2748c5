// The contract plugin in JavaScript: what testdata/contract_test.go calls in each language. See there for what the functions do.

export function echo(input) {
  return input;
}
echo.input = "bytes";

export function upper(text) {
  const lines = text.split("\n");
  lines.forEach((line, i) => progress(i + 1, lines.length, line));
  return text.replace(/[a-z]+/g, letters => letters.toUpperCase());
}

export function fail(message) {
  throw new Error(message);
}

export function invalid(message) {
  throw new InvalidInput(message);
}

export function panic(message) {
  throw new TypeError(message);
}

export function action({ name, times = 0, loud = false, scale = 0 }) {
  return { name, times, loud, scale };
}
action.input = { name: "string", times: "integer?", loud: "bool?", scale: "number?" };

function setting(key) {
  const value = config.get(key);
  if (!value) throw new Error("no such key");
  return value;
}
export { setting as config };

export function logs(text) {
  log.debug(text);
  console.log(text);
  log.warn(text);
  log.error(text);
}

function count() {
  metrics.add("pages_total", 2, { kind: "a" });
  metrics.set("level", -1);
  metrics.observe("seconds", 0.5);
  try {
    metrics.add("Pages", 1);
  } catch (e) {
    return e.message;
  }
}
export { count as metrics };

function keep(value) {
  const old = vars.get("kept", "bytes");
  vars.set("kept", value);
  vars.set("gone", undefined);
  return old ?? "none";
}
export { keep as vars };

function put(url) {
  const r = http.request({ url, method: "PUT", headers: { "X-Sent": "1" }, body: "b" });
  return `${r.status} ${r.text()}`;
}
export { put as http };

export function header(url) {
  return http.request(url).headers["x-seen"];
}

function resume(input) {
  let state = (checkpoint.load() ?? "") + input;
  if (input === "forget") state = "";
  if (input === "much") state = "x".repeat((64 << 10) + 1);
  checkpoint.save(state);
  return checkpoint.load() ?? "";
}
export { resume as checkpoint };

export function fraction() {
  progress(1, 4, "one of four");
  progress(0.5, "half");
  progress(5, 3);
  return String(cancelled());
}

export function cancel() {
  progress(0, 1);
  while (!cancelled());
  throw new Error("tidied up");
}

export function loop() {
  progress(0, 1);
  for (;;);
}

// Live tasks. What shows a task has data-task="ID" and data-status; inside it are [data-bar], [data-percent], [data-message],
// [data-step]. One stream brings the events of the tasks that are shown and can still change. Bars move at most four times a
// second, all in one frame, and only those in sight; on a page about one task (data-fast) with every frame. Whatever changes
// more than a bar makes htmx fetch the part that has data-refresh again.
import { now } from './times.js';

const final = new Set(['completed', 'failed', 'cancelled']);
const kinds = ['submit', 'start', 'progress', 'retry', 'cancel', 'finish', 'lost', 'reset'];
const fast = () => document.querySelector('[data-fast]') !== null;

let source = null;
let listening = '';
let broken = false; // the stream was cut off: what came meanwhile is missing
let latest = new Map();
let last = 0;
let timer = 0;
const inSight = new WeakSet();
const watcher = new IntersectionObserver((entries) => {
  for (const e of entries) if (e.isIntersecting) inSight.add(e.target); else inSight.delete(e.target);
});

const indicator = document.getElementById('link');
function state(word, text) {
  if (!indicator) return;
  indicator.dataset.state = word;
  indicator.textContent = text;
}

export function announce(text) {
  const region = document.getElementById('announce');
  if (region) region.textContent = text;
}

// sync looks at what the page shows now, and listens to that.
export function sync() {
  const ids = new Set();
  for (const el of document.querySelectorAll('[data-task]')) {
    watcher.observe(el);
    if (!final.has(el.dataset.status)) ids.add(el.dataset.task);
  }
  const key = [...ids].sort().slice(0, 1000).join('&id=');
  if (key === listening || document.hidden) return;
  listen(key);
}

function listen(key) {
  source?.close();
  source = null;
  listening = key;
  if (!key) { state('idle', 'up to date'); return; }
  source = new EventSource(`/v1/events?id=${key}`);
  source.onopen = () => {
    state('on', 'live');
    if (broken) refresh();
    broken = false;
  };
  source.onerror = () => {
    state('off', 'reconnecting');
    broken = true;
    if (source?.readyState === EventSource.CLOSED) setTimeout(() => { listening = ''; sync(); }, 3000); // the browser gave up
  };
  for (const kind of kinds) source.addEventListener(kind, (e) => take(kind, e));
}

function take(kind, e) {
  if (kind === 'reset') { refresh(); return; }
  const event = JSON.parse(e.data);
  latest.set(event.task.id, { kind, task: event.task });
  if (!timer) timer = setTimeout(() => { timer = 0; requestAnimationFrame(draw); }, Math.max(0, (fast() ? 0 : 250) - (performance.now() - last)));
}

function draw() {
  last = performance.now();
  const events = latest;
  latest = new Map();
  let changed = false;
  for (const el of document.querySelectorAll('[data-task]')) {
    const event = events.get(el.dataset.task);
    if (!event) continue;
    if (event.kind !== 'progress' && event.task.status !== el.dataset.status) changed = true;
    if (event.kind === 'cancel' || event.task.current_step > (el.dataset.step ?? Infinity)) changed = true;
    if (el.hasAttribute('data-fast') || inSight.has(el)) show(el, event.task);
  }
  if (changed) refresh();
}

function show(el, task) {
  const percent = Math.floor(task.progress * 100);
  const bar = el.querySelector('[data-bar]');
  if (bar) { bar.value = task.progress; bar.setAttribute('aria-valuetext', `${percent} %`); }
  text(el.querySelector('[data-percent]'), `${percent} %`);
  text(el.querySelector('[data-message]'), task.message ?? '');
}

function text(el, words) { if (el && el.textContent !== words) el.textContent = words; }

// refresh lets htmx fetch again whatever shows tasks: soon, and not more than once in half a second.
let due = 0;
let fetched = 0;
export function refresh() {
  if (due || document.hidden) return;
  due = setTimeout(() => {
    due = 0;
    fetched = now();
    for (const el of document.querySelectorAll('[data-refresh]')) htmx.trigger(el, 'taskhost:refresh');
  }, Math.max(fast() ? 30 : 150, 500 - (now() - fetched)));
}

// On a page about one task its new status is told to whoever cannot see it.
let told = document.querySelector('[data-fast]')?.dataset.status;
document.body.addEventListener('htmx:afterSwap', () => {
  const status = document.querySelector('[data-fast]')?.dataset.status;
  if (status && status !== told) { told = status; announce(`The task is now ${status}.`); }
});

export function start() {
  sync();
  // Browsers open six connections to a server without TLS: a page that nobody sees gives its own back.
  document.addEventListener('visibilitychange', () => {
    if (document.hidden) { source?.close(); source = null; listening = ''; } else sync();
  });
  addEventListener('pagehide', () => { source?.close(); source = null; listening = ''; });
  addEventListener('pageshow', (e) => { if (e.persisted) { sync(); refresh(); } });
}

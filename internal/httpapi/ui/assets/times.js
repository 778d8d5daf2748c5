// <time data-age>: "12 s ago", kept true. The server wrote the same words.
const units = [[86400, 'd'], [3600, 'h'], [60, 'min'], [1, 's']];

export function age(ms) {
  const s = Math.round(Math.abs(ms) / 1000);
  const [size, unit] = units.find(([size]) => s >= size) ?? units[3];
  const words = `${Math.floor(s / size)} ${unit}`;
  return ms < -500 ? `in ${words}` : s < 1 ? 'now' : `${words} ago`;
}

// Clocks differ: the server's time at the moment the page was made is in the page.
const skew = Date.now() - Date.parse(document.documentElement.dataset.now ?? new Date().toISOString());

export const now = () => Date.now() - skew;

export function tick() {
  for (const t of document.querySelectorAll('time[data-age]')) {
    const text = age(now() - Date.parse(t.dateTime));
    if (t.textContent !== text) t.textContent = text;
  }
  for (const t of document.querySelectorAll('[data-since]')) {
    t.textContent = duration(now() - Date.parse(t.dataset.since));
  }
}

export function duration(ms) {
  if (ms < 0) ms = 0;
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 60000) return `${(ms / 1000).toFixed(1)} s`;
  const s = Math.floor(ms / 1000);
  if (s < 3600) return `${Math.floor(s / 60)} min ${s % 60} s`;
  return `${Math.floor(s / 3600)} h ${Math.floor((s % 3600) / 60)} min`;
}

setInterval(() => { if (!document.hidden) tick(); }, 1000);

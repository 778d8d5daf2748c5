// What every page does. Pages work without it: it keeps what is shown up to date and saves clicks.
import './morph.js';
import { start, sync, refresh } from './live.js';
import './keys.js';
import './select.js';
import { tick } from './times.js';

const body = document.body;

// A page in the background asks for nothing.
body.addEventListener('htmx:beforeRequest', (e) => {
  const poll = e.detail.requestConfig?.triggeringEvent?.type === 'hx:poll:trigger';
  const paused = document.getElementById('live-on')?.checked === false && e.target.id === 'list';
  if ((poll && document.hidden) || (paused && e.detail.requestConfig?.triggeringEvent?.type !== 'submit')) e.preventDefault();
});
body.addEventListener('htmx:afterSwap', () => { tick(); sync(); });
// An answer that is no success is shown where it belongs, and not swallowed.
body.addEventListener('htmx:beforeSwap', (e) => {
  const status = e.detail.xhr.status;
  if (status === 401) { location.reload(); return; }
  if (status >= 400 && e.detail.requestConfig?.verb !== 'get') { e.detail.shouldSwap = true; e.detail.isError = false; }
});
document.addEventListener('visibilitychange', () => { if (!document.hidden) refresh(); });

start();
if (document.querySelector('[data-plot]')) import('./plots.js');
if (document.getElementById('upload')) import('./upload.js');

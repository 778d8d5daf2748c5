// Shortcuts. "?" lists them; they can be switched off there, for those who type by voice.
const off = () => { try { return localStorage.getItem('taskhost-keys') === 'off'; } catch { return false; } };
const places = { o: '/', t: '/tasks', p: '/plugins', q: '/queues', s: '/schedules' };
const help = document.getElementById('help');
let leader = 0;

const rows = () => [...document.querySelectorAll('tbody tr[data-row]')];

function move(by) {
  const all = rows();
  if (!all.length) return;
  const at = all.findIndex((r) => r.classList.contains('at'));
  const to = all[Math.min(all.length - 1, Math.max(0, at < 0 ? 0 : at + by))];
  all[at]?.classList.remove('at');
  to.classList.add('at');
  to.querySelector('a')?.focus({ preventScroll: true });
  to.scrollIntoView({ block: 'nearest' });
}

function act(key) {
  if (leader > performance.now()) {
    leader = 0;
    if (places[key]) { location.href = places[key]; return true; }
    return false;
  }
  switch (key) {
    case 'g': leader = performance.now() + 1500; return true;
    case '?': help?.showModal(); return true;
    case '/': { const f = document.querySelector('[data-find]'); f?.focus(); f?.select?.(); return Boolean(f); }
    case 'j': move(1); return true;
    case 'k': move(-1); return true;
    case 'x': { const box = document.querySelector('tr.at input[type="checkbox"]'); box?.click(); return Boolean(box); }
    case 'u': { const up = document.querySelector('[data-up]'); up?.click(); return Boolean(up); }
    default: return false;
  }
}

document.addEventListener('keydown', (e) => {
  if (e.ctrlKey || e.metaKey || e.altKey || e.defaultPrevented) return;
  if (e.target.closest('input:not([type="checkbox"]), textarea, select, dialog')) return;
  if (off() && e.key !== '?') return;
  if (act(e.key)) e.preventDefault();
});
document.addEventListener('click', (e) => {
  if (e.target.closest('[data-help]')) help?.showModal();
  if (e.target.closest('[data-close]')) e.target.closest('dialog')?.close();
});
const toggle = document.getElementById('keys-off');
if (toggle) {
  toggle.checked = off();
  toggle.addEventListener('change', () => { try { localStorage.setItem('taskhost-keys', toggle.checked ? 'off' : 'on'); } catch { /* private window */ } });
}

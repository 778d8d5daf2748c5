// Ticked rows of the task list: how many, all at once, a range with shift, and buttons that wait for a choice.
let anchor = null;

const boxes = () => [...document.querySelectorAll('input[type="checkbox"][name="id"]')];

export function count() {
  const bulk = document.getElementById('bulk');
  if (!bulk) return;
  const all = boxes();
  const n = all.filter((b) => b.checked).length;
  for (const b of all) b.closest('tr').setAttribute('aria-selected', String(b.checked));
  const every = document.querySelector('input[name="all"]')?.checked;
  const head = document.getElementById('pick-all');
  if (head) { head.checked = n > 0 && n === all.length; head.indeterminate = n > 0 && n < all.length; }
  const words = every ? 'everything that matches' : n ? `${n} selected` : 'none selected';
  const said = document.getElementById('picked');
  if (said && said.textContent !== words) said.textContent = words;
  for (const b of bulk.querySelectorAll('button')) b.disabled = !every && n === 0;
}

document.addEventListener('change', (e) => {
  const box = e.target;
  if (box.id === 'pick-all') for (const b of boxes()) b.checked = box.checked;
  if (box.id === 'pick-all' || box.closest('tr')?.dataset.task || box.name === 'all') count();
});
document.addEventListener('click', (e) => {
  const box = e.target;
  if (box.name !== 'id' || box.type !== 'checkbox') return;
  const all = boxes();
  if (e.shiftKey && anchor?.isConnected) {
    const [from, to] = [all.indexOf(anchor), all.indexOf(box)].sort((a, b) => a - b);
    for (const b of all.slice(from, to + 1)) b.checked = box.checked;
    count();
  }
  anchor = box;
});
document.body.addEventListener('htmx:afterSwap', count);
count();

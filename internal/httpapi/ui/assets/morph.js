// hx-swap="morph": changes what is there into what came, so that focus, selection, open details and ticked boxes stay.
// Elements with an id are the same element before and after. data-keep: this element is looked after by a script.

const mine = { INPUT: ['checked', 'value'], DETAILS: ['open'], DIALOG: ['open'], OPTION: ['selected'], TR: ['aria-selected'] };

function attributes(from, to) {
  const skip = mine[from.nodeName] ?? [];
  for (const { name, value } of to.attributes) {
    if (!skip.includes(name) && from.getAttribute(name) !== value) from.setAttribute(name, value);
  }
  for (const { name } of [...from.attributes]) {
    if (!skip.includes(name) && !to.hasAttribute(name)) from.removeAttribute(name);
  }
}

function children(from, to) {
  const old = new Map();
  for (const c of from.children) if (c.id) old.set(c.id, c);
  const stays = new Set();
  for (const c of to.children) if (c.id) stays.add(c.id);
  let at = from.firstChild;
  const next = () => { const c = at; at = at.nextSibling; return c; };
  for (const n of [...to.childNodes]) {
    while (at && at.id && !stays.has(at.id)) next().remove();
    const same = n.id && old.get(n.id);
    if (same) {
      if (same === at) next(); else from.insertBefore(same, at);
      morph(same, n);
    } else if (at && !at.id && !n.id && at.nodeName === n.nodeName) {
      morph(next(), n);
    } else {
      from.insertBefore(n, at);
    }
  }
  while (at) next().remove();
}

export function morph(from, to) {
  if (from.nodeName !== to.nodeName) { from.replaceWith(to); return to; }
  if (from.nodeType !== Node.ELEMENT_NODE) { if (from.data !== to.data) from.data = to.data; return from; }
  if (from.hasAttribute('data-keep') && to.hasAttribute('data-keep')) return from;
  attributes(from, to);
  if (from.nodeName === 'TEXTAREA' || from.nodeName === 'SELECT') return from;
  children(from, to);
  return from;
}

htmx.defineExtension('morph', {
  isInlineSwap: (style) => style === 'morph',
  handleSwap(style, target, fragment) {
    if (style !== 'morph') return false;
    const root = fragment.nodeType === Node.ELEMENT_NODE ? fragment : fragment.firstElementChild;
    if (!root) return [];
    return [morph(target, root)];
  },
});

// Plugins that are dropped on the page, or chosen: one request each, with its progress, and what the server said.
const form = document.getElementById('upload');
const list = document.getElementById('uploads');
const input = form.querySelector('input[type="file"]');
const name = form.querySelector('input[name="name"]');
const drop = document.getElementById('drop');

const base = (file) => file.name.replace(/\.(wasm|json|m?[jt]s)$/i, '');

// A manifest belongs to the module of the same name; alone it is a new manifest for the plugin of that name.
function pairs(files, only) {
  const found = new Map();
  for (const f of files) {
    const key = base(f);
    const pair = found.get(key) ?? { name: key };
    if (/\.json$/i.test(f.name)) pair.manifest = f; else if (/\.wasm$/i.test(f.name)) pair.wasm = f; else pair.script = f;
    found.set(key, pair);
  }
  const all = [...found.values()];
  if (only && all.length === 1) all[0].name = only;
  return all;
}

function line(pair) {
  const li = document.createElement('li');
  li.className = 'note';
  const title = document.createElement('div');
  title.className = 'row';
  const strong = document.createElement('strong');
  strong.textContent = pair.name;
  const words = document.createElement('span');
  words.textContent = 'uploading';
  const bar = document.createElement('progress');
  bar.max = 1; bar.value = 0;
  bar.setAttribute('aria-label', `Upload of ${pair.name}`);
  title.append(strong, words);
  li.append(title, bar);
  list.prepend(li);
  return { li, words, bar };
}

function say(row, mood, text) {
  row.li.className = `note ${mood}`;
  row.words.textContent = text;
  row.bar.remove();
}

function send(pair) {
  const row = line(pair);
  const data = new FormData();
  if (pair.wasm) data.append('wasm', pair.wasm);
  if (pair.script) data.append('script', pair.script);
  if (pair.manifest) data.append('manifest', pair.manifest);
  const xhr = new XMLHttpRequest();
  xhr.open('PUT', `/v1/plugins/${encodeURIComponent(pair.name)}`);
  xhr.responseType = 'json';
  xhr.upload.onprogress = (e) => {
    row.bar.value = e.lengthComputable ? e.loaded / e.total : 0;
    if (e.loaded === e.total) row.words.textContent = 'compiling and starting it';
  };
  return new Promise((done) => {
    xhr.onerror = () => { say(row, 'bad', 'the connection broke; nothing was changed'); done(); };
    xhr.onload = () => {
      const answer = xhr.response ?? {};
      if (xhr.status < 300) {
        const digest = String(answer.digest ?? '').replace('sha256:', '').slice(0, 12);
        say(row, 'ok', `is loaded${digest ? `, version ${digest}` : ''}`);
      } else {
        say(row, 'bad', `was refused: ${answer.detail ?? answer.title ?? xhr.statusText}`);
      }
      for (const el of document.querySelectorAll('[data-refresh]')) htmx.trigger(el, 'taskhost:refresh');
      done();
    };
    xhr.send(data);
  });
}

async function sendAll(files, only) {
  for (const pair of pairs(files, only)) await send(pair);
}

form.addEventListener('submit', async (e) => {
  if (!input.files.length) return;
  e.preventDefault();
  const button = form.querySelector('button');
  button.disabled = true;
  await sendAll([...input.files], name.value.trim());
  form.reset();
  button.disabled = false;
});
const files = (e) => [...(e.dataTransfer?.types ?? [])].includes('Files');
document.addEventListener('dragover', (e) => { if (files(e)) { e.preventDefault(); drop.classList.add('over'); } });
document.addEventListener('dragleave', (e) => { if (!e.relatedTarget) drop.classList.remove('over'); });
document.addEventListener('drop', (e) => {
  if (!files(e)) return;
  e.preventDefault();
  drop.classList.remove('over');
  sendAll([...e.dataTransfer.files], name.value.trim());
});

// The plots of the overview: uPlot over /v1/stats/history, asked every few seconds for what is new.
const every = 5000;
const kept = 3600 / 5;
const css = getComputedStyle(document.documentElement);
const colour = (name) => css.getPropertyValue(`--${name}`).trim();
const perSecond = (key) => (p, seconds) => (p[key] ?? 0) / seconds;
const value = (key) => (p) => p[key] ?? null;

const rate = (v) => (v == null ? '' : `${v >= 100 ? Math.round(v) : +v.toFixed(1)}`);
const seconds = (v) => (v == null ? '' : v >= 1 ? `${+v.toFixed(1)} s` : v >= 0.001 ? `${+(v * 1000).toFixed(v < 0.1 ? 1 : 0)} ms` : v === 0 ? '0' : `${Math.round(v * 1e6)} µs`);
const number = (v) => (v == null ? '' : v >= 10000 ? `${+(v / 1000).toFixed(1)}k` : String(v));

// Seconds only where minutes would say nothing.
const clock = (u, times) => times.map((t) => new Date(t * 1000).toLocaleTimeString([], {
  hour: '2-digit', minute: '2-digit', hourCycle: 'h23', ...(times.at(-1) - times[0] < 300 ? { second: '2-digit' } : {}),
}));

const plots = {
  throughput: { format: rate, series: [['running', perSecond('submitted')], ['completed', perSecond('completed')]] },
  latency: { format: seconds, series: [['running', value('p50_s')], ['pending', value('p99_s')]] },
  queue: { format: number, series: [['pending', value('pending')], ['running', value('running')]] },
  errors: { format: rate, series: [['failed', perSecond('failed')], ['cancelled', perSecond('cancelled')]] },
};

let points = [];
let interval = 5;
let charts = [];

function data(spec) {
  return [points.map((p) => Date.parse(p.t) / 1000), ...spec.series.map(([, get]) => points.map((p) => get(p, interval)))];
}

function options(el, spec) {
  const axis = { stroke: colour('muted'), grid: { stroke: colour('line'), width: 1 }, ticks: { show: false }, font: '11px system-ui, sans-serif' };
  return {
    width: el.clientWidth, height: el.clientHeight, legend: { show: false }, padding: [8, 4, 0, 0],
    cursor: { sync: { key: 'overview' }, y: false, points: { size: 6 } },
    scales: { y: { range: (u, min, max) => [0, max > 0 ? max * 1.12 : 1] } },
    axes: [
      { ...axis, size: 22, gap: 4, space: 70, values: clock },
      { ...axis, size: 48, gap: 4, space: 34, values: (u, v) => v.map(spec.format) },
    ],
    series: [{}, ...spec.series.map(([name]) => ({ stroke: colour(name), width: 1.5, points: { show: false }, spanGaps: true }))],
    hooks: { setCursor: [(u) => legend(el, spec, u.cursor.idx)] },
  };
}

// The figures beside a plot are those under the pointer, else the newest.
function legend(el, spec, at) {
  const labels = el.closest('.plot').querySelectorAll('[data-now]');
  const index = at ?? points.length - 1;
  spec.series.forEach(([, get], i) => {
    const p = points[index];
    if (labels[i] && p) labels[i].textContent = spec.format(get(p, interval)) || '–';
  });
}

function build() {
  for (const { chart } of charts) chart.destroy();
  charts = [];
  for (const el of document.querySelectorAll('[data-plot]')) {
    const spec = plots[el.dataset.plot];
    el.replaceChildren();
    const chart = new uPlot(options(el, spec), data(spec), el);
    charts.push({ el, spec, chart });
    legend(el, spec);
  }
}

async function load() {
  if (document.hidden && points.length) return;
  const last = points.at(-1)?.t;
  const answer = await fetch(`/v1/stats/history${last ? `?since=${encodeURIComponent(last)}` : ''}`).catch(() => null);
  if (!answer?.ok) return;
  const got = await answer.json();
  interval = got.interval_s || interval;
  const fresh = (got.points ?? []).filter((p) => !last || p.t > last);
  if (!fresh.length && charts.length) return;
  points = [...points, ...fresh].slice(-kept);
  if (!charts.length && points.length > 1) build();
  for (const { el, spec, chart } of charts) {
    chart.setData(data(spec));
    if (chart.cursor.idx == null) legend(el, spec);
  }
}

new ResizeObserver(() => {
  for (const { el, chart } of charts) if (el.clientWidth !== chart.width) chart.setSize({ width: el.clientWidth, height: el.clientHeight });
}).observe(document.querySelector('.plots'));
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => { if (charts.length) build(); });
await load();
setInterval(load, every);

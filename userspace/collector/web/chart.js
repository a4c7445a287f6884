// SPDX-License-Identifier: GPL-2.0-or-later
import { html } from "htm/preact";
import { useEffect, useRef } from "preact/hooks";
import uPlot from "uplot";
import { short } from "./text.js";

const dark = matchMedia("(prefers-color-scheme: dark)");
const color = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const two = (n) => String(n).padStart(2, "0");

// Times are UTC, with 24 hours.
function ticks(plot, values, axis, space, step) {
  let day = "";
  return values.map((s) => {
    const t = new Date(s * 1000);
    const date = `${t.getUTCFullYear()}-${two(t.getUTCMonth() + 1)}-${two(t.getUTCDate())}`;
    const first = date !== day;
    day = date;
    if (step >= 86400) return date.slice(5);
    const time = `${two(t.getUTCHours())}:${two(t.getUTCMinutes())}`;
    return first && t.getUTCHours() === 0 ? date.slice(5) : time;
  });
}

// Bars over time, one series before the other; a span that is drawn over is told to onSpan, in seconds.
// series: [{ label, color: "--name", values: [] }], the first is the highest.
export function Bars({ times, series, step, onSpan, label }) {
  const at = useRef(), tell = useRef();
  tell.current = onSpan;
  useEffect(() => {
    const box = at.current;
    if (!box || !times.length) return undefined; // left before it was painted, or there is no time
    const axis = () => ({ stroke: color("--quiet"), grid: { stroke: color("--line"), width: 1 }, ticks: { show: false },
      font: `12px ${color("--font")}` });
    const bars = uPlot.paths.bars({ size: [0.86, 64, 1], align: 1 });
    let plot;
    const draw = () => {
      plot?.destroy();
      plot = new uPlot({
        width: box.clientWidth, height: 190, legend: { show: false },
        tzDate: (s) => uPlot.tzDate(new Date(s * 1000), "Etc/UTC"),
        padding: [10, 8, 0, 0],
        cursor: { y: false, points: { show: false }, drag: { x: true, y: false, setScale: false } },
        scales: { x: { time: true, range: () => [times[0], times[times.length - 1] + step] },
          y: { range: (self, low, high) => [0, Math.max(high, 1) * 1.08] } },
        series: [{}, ...series.map((s) => ({ label: s.label, paths: bars, fill: color(s.color), stroke: color(s.color), width: 0, points: { show: false } }))],
        axes: [{ ...axis(), values: ticks, grid: { show: false }, space: 64, size: 26 },
          { ...axis(), size: 52, values: (self, values) => values.map((v) => (v % 1 ? "" : short(v))) }],
        hooks: { setSelect: [(self) => {
          if (self.select.width < 3) return;
          tell.current?.(self.posToVal(self.select.left, "x"), self.posToVal(self.select.left + self.select.width, "x"));
          self.setSelect({ left: 0, width: 0, top: 0, height: 0 }, false);
        }] },
      }, [times, ...series.map((s) => s.values)], box);
    };
    const resized = new ResizeObserver(() => plot?.setSize({ width: box.clientWidth, height: 190 }));
    draw();
    resized.observe(box);
    dark.addEventListener("change", draw);
    return () => {
      dark.removeEventListener("change", draw);
      resized.disconnect();
      plot?.destroy();
    };
  }, [JSON.stringify([times, series, step])]);
  return html`<figure class="chart" aria-label=${label}>
    <div ref=${at}></div>
    <figcaption>${series.map((s) => html`<span class="key"><span class="swatch ${s.color.slice(2)}"></span> ${s.label}</span>`)}
      ${onSpan && html`<span class="quiet">draw over the bars to look closer</span>`}</figcaption>
  </figure>`;
}

// Rows with a time each, as bars without a gap. rows: [{ time: ISO, … }]
export function buckets(rows, field, step, from, to, value) {
  const times = [], index = new Map();
  for (let s = Math.floor(from / step) * step; s <= to && times.length < 2000; s += step) {
    index.set(s, times.length);
    times.push(s);
  }
  const values = times.map(() => 0);
  for (const row of rows) {
    const text = row[field];
    const s = Date.parse(text.length === 10 ? `${text}T00:00Z` : text) / 1000;
    if (index.has(s)) values[index.get(s)] += value(row);
  }
  return { times, values };
}

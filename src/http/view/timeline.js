// The live view over time: the strip of micrographs, and the plots.
"use strict";

// ---- the strip ---------------------------------------------------------------------------------

const tiles = new Map(); // seq: element
const tileWidth = () => parseFloat(getComputedStyle(document.documentElement).getPropertyValue("--tile"));
const stripFirst = () => Math.max(1, last - STRIP + 1);

function describe(row) {
  const lines = [`#${row.seq} ${row.name}`];
  if (row.status === "picked") lines.push(`${row.count} picks` + (row.score_median == null ? "" : `, median score ${row.score_median.toFixed(2)}`));
  else lines.push(`${row.status}: ${row.reason}`);
  if (replacedBy.has(row.seq)) lines.push(`replaced by #${replacedBy.get(row.seq)}`);
  return lines.concat(problemsOf(row).map(problem => problem.text)).join("\n");
}

function makeTile(row) {
  const tile = document.createElement("button"), label = document.createElement("span");
  tile.type = "button";
  tile.tabIndex = -1;
  tile.className = `tile ${row.status}${row.status === "picked" && !row.count ? " zero" : ""}${row.unreliable ? " unreliable" : ""}`;
  tile.dataset.seq = row.seq;
  tile.title = describe(row);
  if (row.preview) {
    const image = document.createElement("img");
    image.alt = "";
    image.src = picture("thumbnail", row.seq);
    image.onerror = () => image.remove();
    tile.append(image);
  }
  label.textContent = row.status === "picked" ? number(row.count) : row.status;
  tile.append(label);
  tile.onclick = () => select(row.seq);
  return tile;
}

// Only visible micrographs have an element.
function drawStrip() {
  const strip = byId("strip"), width = tileWidth(), base = stripFirst();
  byId("tiles").style.width = `${(last - base + 1) * width + 20}px`;
  const from = base + Math.floor(strip.scrollLeft / width) - 2;
  const to = from + Math.ceil(strip.clientWidth / width) + 4;
  let missing = 0;
  for (const [seq, tile] of tiles) if (seq < from || seq > to) { tile.remove(); tiles.delete(seq); }
  for (let seq = Math.max(from, base); seq <= Math.min(to, last); seq++) {
    if (!rows[seq]) { missing = missing || seq; continue; }
    if (!tiles.has(seq)) {
      tiles.set(seq, makeTile(rows[seq]));
      byId("tiles").append(tiles.get(seq));
    }
    const tile = tiles.get(seq);
    tile.style.left = `${(seq - base) * width + 10}px`;
    tile.classList.toggle("selected", seq === selected);
    if (replacedBy.has(seq) && !tile.classList.contains("replaced")) {
      tile.classList.add("replaced");
      tile.title = describe(rows[seq]);
    }
  }
  if (missing) fetchRows(missing - 1, to - missing + 1).then(drawStrip, () => {});
}

function reveal() {
  const strip = byId("strip"), width = tileWidth(), left = (selected - stripFirst()) * width;
  byId("tiles").style.width = `${(last - stripFirst() + 1) * width + 20}px`;
  if (following) strip.scrollLeft = left;
  else if (left < strip.scrollLeft + width) strip.scrollLeft = left - width;
  else if (left > strip.scrollLeft + strip.clientWidth - 2 * width) strip.scrollLeft = left - strip.clientWidth + 2 * width;
  drawStrip();
}

// ---- plots over time ---------------------------------------------------------------------------

const PLOTS = [
  { title: "picks per micrograph", of: row => row.status === "picked" ? row.count : 0, text: v => number(v), marks: true },
  { title: "median score", of: row => row.score_median, text: v => v.toFixed(2) },
  { title: "masked", of: row => row.masked == null ? null : 100 * row.masked, text: v => `${v.toFixed(1)} %` },
  { title: "from close to published", of: row => row.seconds && Math.max(row.seconds, 0.001), text: v => duration(v), log: true },
  { title: "micrographs per hour", rate: true, text: v => number(Math.round(v)) },
];
let hours = 0, zoom = null, plotSeqs = [];
const INK = { picked: "#56b4e9", rejected: "#e69f00", failed: "#ee6a28" };

// Draws dots fast enough for ten thousand of them.
function dots(plot) {
  return event => {
    const context = event.drawingContext, size = event.points.length > 3000 ? 1.5 : event.points.length > 500 ? 2.5 : 4;
    context.save();
    for (const point of event.points) {
      if (point.yval === null || isNaN(point.canvasy)) continue;
      const row = rows[plotSeqs[point.idx]];
      context.globalAlpha = row && row.status !== "picked" ? 1 : 0.7;
      context.fillStyle = plot.marks && row ? INK[row.status] : INK.picked;
      const side = plot.marks && row && row.status !== "picked" ? size + 2 : size;
      context.fillRect(point.canvasx - side / 2, point.canvasy - side / 2, side, side);
    }
    context.restore();
  };
}

const median = values => values.length ? values.sort((a, b) => a - b)[values.length >> 1] : null;

function series(plot, seqs) {
  const recent = [];
  return seqs.map(seq => {
    const value = plot.of(rows[seq]);
    if (value != null && rows[seq].status === "picked") recent.push(value);
    if (recent.length > SMOOTH) recent.shift();
    return [rows[seq].at, value == null ? null : value, median([...recent])];
  });
}

// Counts in bins of a hundredth of the visible range, at least a minute.
function rates(seqs) {
  if (!seqs.length) return [[new Date(), 0]];
  const begin = rows[seqs[0]].at.getTime(), end = rows[seqs.at(-1)].at.getTime();
  const bin = Math.max(60000, (end - begin) / 100);
  const counts = new Array(Math.floor((end - begin) / bin) + 1).fill(0);
  for (const seq of seqs) counts[Math.min(Math.max(Math.floor((rows[seq].at - begin) / bin), 0), counts.length - 1)]++;
  // the last bin is not complete yet
  const rest = Math.max((end - begin) - (counts.length - 1) * bin, bin / 4);
  const values = counts.map((count, i) => [new Date(begin + i * bin), count / (i < counts.length - 1 ? bin : rest) * 3600000]);
  return [...values, [new Date(end), values.at(-1)[1]]];
}

function seqsShown() {
  const newest = rows[last] ? rows[last].at.getTime() : 0, seqs = [];
  for (let seq = first; seq <= last; seq++)
    if (rows[seq] && !replacedBy.has(seq) && (!hours || newest - rows[seq].at <= hours * 3600000)) seqs.push(seq);
  return seqs;
}

const decades = (low, high) => [0.01, 0.1, 1, 10, 60, 600, 3600, 36000, 360000]
  .filter(v => v >= low && v <= high).map(v => ({ v, label: v < 60 ? `${v} s` : duration(v) }));

// Two or three round numbers from 0: a plot is small.
function rounds(low, high) {
  const power = 10 ** Math.floor(Math.log10(high / 2)), step = power * [5, 2, 1].find(n => n * power <= high / 2);
  const label = v => v >= 10000 ? `${v / 1000}k` : String(+v.toPrecision(3));
  return Array.from({ length: Math.floor(high / step) + 1 }, (_, i) => ({ v: i * step, label: label(i * step) }));
}

// As many labels as fit.
const spaced = ticker => (low, high, pixels) => {
  const ticks = ticker(low, high), every = Math.max(1, Math.ceil(15 * ticks.length / pixels));
  return ticks.filter((_, i) => i % every === 0);
};

function makePlot(plot) {
  const box = document.createElement("div"), title = document.createElement("h2"), area = document.createElement("div");
  const value = document.createElement("b");
  box.className = "plot";
  title.title = `${plot.rate ? "" : `dots: each; line: median of ${SMOOTH}. `}Drag to zoom, double click for all.`;
  title.append(plot.title, value);
  box.append(title, area);
  byId("plots").append(box);
  plot.value = value;
  plot.area = area;
}

// dygraphs' legend needs inline styles, which the page's policy forbids; the titles replace it.
function makeGraph(plot) {
  plot.graph = new Dygraph(plot.area, plot.rate ? [[new Date(), 0]] : [[new Date(), null, null]], {
    labels: plot.rate ? ["time", "rate"] : ["time", "each", "median"],
    valueRange: plot.log ? [0.1, 10] : [0, 1], gridLineColor: "#1f262e", axisLineColor: "#262e37", colors: plot.rate ? [INK.picked] : [INK.picked, "#dbe2ea"],
    logscale: !!plot.log, includeZero: !plot.log, fillGraph: !!plot.rate, fillAlpha: 0.2, stepPlot: !!plot.rate, strokeWidth: 1.4,
    highlightCircleSize: 3, rightGap: 8, connectSeparatedPoints: true,
    axes: { y: { axisLabelWidth: 42, ticker: spaced(plot.log ? decades : rounds) }, x: { pixelsPerLabel: 70, axisLabelHeight: plot.rate ? 14 : 0, drawAxis: !!plot.rate } },
    series: plot.rate ? {} : { each: { plotter: dots(plot), highlightCircleSize: 4 } },
    highlightCallback: (event, x, points) => {
      const at = points[0];
      plot.value.textContent = (plot.rate || at.yval == null ? "" : `#${plotSeqs[at.idx]} `) + clock(x) + " " + (at.yval == null ? "" : plot.text(at.yval));
    },
    unhighlightCallback: () => showLatest(plot),
    zoomCallback: (low, high) => {
      const [begin, end] = plot.graph.xAxisExtremes();
      zoom = low <= begin && high >= end ? null : [low, high];
      drawPlots();
    },
    clickCallback: (event, x, points) => plot.rate || select(plotSeqs[points[0].idx]),
  });
}

function showLatest(plot) {
  const data = plot.latest;
  plot.value.textContent = data == null ? "" : plot.text(data);
}

// Adds space for the dots at both ends.
function linearRange(values) {
  const low = values.reduce((a, b) => Math.min(a, b), 0), high = values.reduce((a, b) => Math.max(a, b), 0) || 1;
  return [low - 0.07 * (high - low), high + 0.1 * (high - low)];
}

// One time axis for all of them.
function drawPlots() {
  if (typeof Dygraph === "undefined") return;
  if (!PLOTS[0].graph) {
    Dygraph.PLUGINS = Dygraph.PLUGINS.filter(plugin => plugin !== Dygraph.Plugins.Legend);
    PLOTS.forEach(makePlot); // all boxes first, because a graph measures its box
    PLOTS.forEach(makeGraph);
    new ResizeObserver(() => PLOTS.forEach(plot => plot.graph.resize())).observe(byId("plots"));
  }
  plotSeqs = seqsShown();
  if (!plotSeqs.length) return;
  const begin = rows[plotSeqs[0]].at.getTime(), end = rows[plotSeqs.at(-1)].at.getTime();
  const margin = Math.max((end - begin) / 60, 1000);
  for (const plot of PLOTS) {
    const file = plot.rate ? rates(plotSeqs) : series(plot, plotSeqs);
    plot.latest = plot.rate ? file.at(-3)?.[1] ?? file.at(-1)[1] : file.at(-1)[2];
    showLatest(plot);
    const values = file.map(row => row[1]).filter(value => value != null);
    const range = plot.log ? [values.reduce((a, b) => Math.min(a, b), 0.1) / 1.4, values.reduce((a, b) => Math.max(a, b), 10) * 1.4] : linearRange(values);
    plot.graph.updateOptions({ file, dateWindow: zoom || [begin - margin, end + margin], valueRange: range });
  }
}


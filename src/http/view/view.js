// The live view: shows data from /api and /events of the service, and of no other server.
//
// rows[seq] is the summary of an outcome (from src/http/api.c); the newest are loaded first, older
// ones in the background, so that ten thousand do not block the page. `selected` is the seq that is
// shown. All state is in memory: a reload starts over.
"use strict";

const byId = id => document.getElementById(id);
const PAGE = 1000, FIRST = 300, STRIP = 100000; // outcomes: in a request, in the first, in total
const BEGIN_AGAIN_MS = 2000, SMOOTH = 25;

const rows = [];
const replacedBy = new Map(); // seq: that of the later outcome of the same micrograph
let stream = null, first = Infinity, last = 0; // the part of the journal that is in `rows`
let selected = 0, following = true, skew = 0;
let shown = null; // {row, header, picks, image}: the micrograph in the viewer
let showCircles = true, threshold = null; // null: all picks

async function get(path, options) {
  const answer = await fetch(path, options);
  if (!answer.ok) throw new Error(`${path}: ${answer.status}`);
  return answer.json();
}

const picture = (kind, seq) => `/${kind}/${seq}.png?stream=${stream}`;
const number = n => n == null ? "–" : n.toLocaleString("en-US").replaceAll(",", "\u2009");
const clock = time => new Date(time).toTimeString().slice(0, 8);

function duration(seconds) {
  if (seconds == null || !isFinite(seconds)) return "–";
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  if (seconds < 120) return `${Math.round(seconds)} s`;
  if (seconds < 7200) return `${Math.round(seconds / 60)} min`;
  if (seconds < 172800) return `${Math.round(seconds / 3600)} h`;
  return `${Math.round(seconds / 86400)} d`;
}

// ---- the service -------------------------------------------------------------------------------

let status = null;

// What the rules about names leave out, and versions of exposures that others stand for.
function leftOutText(status) {
  const counts = {};
  for (const watch of status.watch)
    for (const [rule, count] of Object.entries(watch.left_out)) counts[rule] = (counts[rule] || 0) + count;
  if (status.totals && status.totals.skipped) counts.version = (counts.version || 0) + status.totals.skipped;
  const parts = Object.entries(counts).map(([rule, count]) => `${number(count)} ${rule.replace("_", " ")}`);
  return parts.length ? `left out: ${parts.join(", ")}` : "";
}

function showService() {
  if (!status) return;
  const state = byId("state"), totals = status.totals, lost = document.body.classList.contains("lost");
  const failing = status.journal !== "ok";
  state.className = lost || failing ? "trouble" : status.state;
  state.textContent = lost ? "connection lost, trying again" : failing ? "stands still" : status.state;
  byId("session").textContent = status.session || "";
  if (totals) {
    byId("total-micrographs").textContent = number(totals.picked + totals.rejected + totals.failed);
    byId("total-picks").textContent = number(totals.picks);
    for (const kind of ["rejected", "failed"]) {
      byId(`total-${kind}`).textContent = number(totals[kind]);
      byId(`total-${kind}`).parentElement.classList.toggle("some", totals[kind] > 0);
    }
  }
  byId("rate").textContent = number(Math.round(status.rates.micrographs_per_hour));
  byId("watch").textContent = status.watch.map(w => `${w.path}: ${w.mode}${w.reason ? ` (${w.reason})` : ""}`).join(", ");
  byId("watch").title = status.watch.map(w => `${w.path}: ${w.mode}, ${w.directories} directories, ${w.candidates} files not complete yet`).join("\n");
  const leftOut = leftOutText(status);
  byId("left-out").textContent = leftOut;
  byId("left-out").hidden = !leftOut;
  byId("queue").textContent = `${number(status.queue.waiting)} waiting, ${status.queue.in_flight} being picked`
    + (totals && totals.repicks_left ? `, ${number(totals.repicks_left)} of them anew` : "");
  byId("device").textContent = status.devices.map(d => `${d.device}: ${d.micrograph || "idle"}`).join(", ");
  byId("device").title = byId("device").textContent;
  byId("journal").textContent = failing ? `journal ${status.journal}` : "";
  byId("journal").className = failing ? "trouble" : "";
  const error = status.last_error;
  byId("error").textContent = error ? `${clock(error.time)} ${error.text}` : "";
  byId("error").title = byId("error").textContent;
}

function showAge() {
  const row = rows[last];
  byId("age").textContent = row ? `${duration(Math.max(0, Math.round((Date.now() - skew - row.at) / 1000)))} ago` : "–";
}

// ---- incoming events ---------------------------------------------------------------------------

function put(row) {
  row.at = new Date(row.published);
  rows[row.seq] = row;
  if (row.replaces) replacedBy.set(row.replaces, row.seq);
  first = Math.min(first, row.seq);
  last = Math.max(last, row.seq);
}

async function fetchRows(since, limit) {
  const answer = await get(`/api/micrographs?since=${since}&limit=${Math.min(limit, PAGE)}`);
  answer.micrographs.forEach(put);
}

// Redraws once for many outcomes; the plots at most once a second, less often if there are many.
let drawDue = false, plotsDue = false;
function changed() {
  if (!drawDue) {
    drawDue = true;
    requestAnimationFrame(() => {
      drawDue = false;
      if (following && last) select(last, true);
      else { drawStrip(); showFollow(); }
      showAge();
    });
  }
  if (!plotsDue) {
    plotsDue = true;
    setTimeout(() => { plotsDue = false; drawPlots(); }, Math.max(400, (last - first) / 5));
  }
}

let source = null;
function listen() {
  if (document.hidden) return; // connects when it becomes visible
  if (source) source.close();
  source = new EventSource(`/events?since=${last}`);
  source.addEventListener("open", () => { document.body.classList.remove("lost"); showService(); });
  source.addEventListener("error", () => {
    document.body.classList.add("lost");
    showService();
    if (source.readyState === EventSource.CLOSED) setTimeout(listen, BEGIN_AGAIN_MS);
  });
  source.addEventListener("outcome", event => { put(JSON.parse(event.data)); changed(); });
  source.addEventListener("status", event => {
    status = JSON.parse(event.data);
    skew = Date.now() - Date.parse(status.time);
    if (status.stream !== stream) location.reload(); // a new journal: its seqs start over
    showService();
    showAge();
  });
}

async function backfill() {
  while (first > Math.max(1, last - STRIP) && first < Infinity) {
    const since = Math.max(0, first - 1 - PAGE);
    await fetchRows(since, first - 1 - since);
    changed();
    await new Promise(resolve => setTimeout(resolve, 20));
  }
}

async function begin() {
  try {
    status = await get("/api/status");
    stream = status.stream;
    skew = Date.now() - Date.parse(status.time);
    await fetchRows(Math.max(0, status.last_seq - FIRST), FIRST);
  } catch (error) {
    setTimeout(begin, BEGIN_AGAIN_MS);
    return;
  }
  showService();
  if (last) changed();
  listen();
  backfill().catch(error => console.warn(error));
}

// ---- user input --------------------------------------------------------------------------------

const KEYS = {
  ArrowLeft: () => select(selected - 1), ArrowRight: () => select(selected + 1, selected + 1 > last && following),
  Home: () => select(1), End: () => select(last), " ": () => select(last, true),
  "[": () => setThreshold((threshold === null ? domain.low : threshold) - (domain.high - domain.low) / 20),
  "]": () => setThreshold((threshold === null ? domain.low : threshold) + (domain.high - domain.low) / 20),
  c: () => { showCircles = !showCircles; drawCircles(); },
};
window.addEventListener("keydown", event => {
  const slider = event.target.id === "threshold" && /^(Arrow|Home|End)/.test(event.key);
  if (!KEYS[event.key] || slider || event.ctrlKey || event.altKey || event.metaKey) return;
  event.preventDefault();
  KEYS[event.key]();
});
byId("threshold").addEventListener("input", event => setThreshold(+event.target.value));
byId("threshold").addEventListener("pointerup", event => event.target.blur()); // arrow keys navigate
byId("follow").addEventListener("click", event => { select(last, true); event.target.blur(); });
byId("strip").addEventListener("scroll", () => requestAnimationFrame(drawStrip));
byId("strip").addEventListener("wheel", event => { byId("strip").scrollLeft += event.deltaY; }, { passive: true });
byId("spans").addEventListener("click", event => {
  if (!event.target.dataset.hours) return;
  hours = +event.target.dataset.hours;
  zoom = null;
  for (const button of byId("spans").children) button.classList.toggle("chosen", button === event.target);
  drawPlots();
});
new ResizeObserver(() => { if (shown) redraw(); drawStrip(); }).observe(byId("stage"));
// A hidden page closes its connection, so that others can use it.
document.addEventListener("visibilitychange", () => {
  if (document.hidden && source) { source.close(); source = null; }
  else if (!document.hidden && !source && stream) listen();
});
setInterval(showAge, 1000);
if (typeof Dygraph === "undefined") {
  byId("plots").className = "none";
  byId("plots").append("no plots: built without libjs-dygraphs");
  byId("licence").remove();
}
begin();

// The micrograph in the centre of the live view, its circles, and its outcome.
"use strict";

// ---- colours: those of `pick --overlay`, lighter with the score --------------------------------

const COLOURS = (() => {
  const anchors = [[64, 110, 235], [32, 160, 190], [60, 190, 120], [160, 218, 57], [253, 231, 37]];
  return Array.from({ length: 64 }, (_, i) => {
    const at = i / 63 * (anchors.length - 1), low = Math.min(Math.floor(at), anchors.length - 2);
    const mix = k => Math.round(anchors[low][k] + (at - low) * (anchors[low + 1][k] - anchors[low][k]));
    return `rgb(${mix(0)} ${mix(1)} ${mix(2)})`;
  });
})();

// Scores from 0 to 1 are probabilities; others (profile aspire) are scaled to the range so far.
const domain = { low: 0, high: 1 };
const colourOf = score => {
  const t = (score - domain.low) / (domain.high - domain.low);
  return COLOURS[Math.round(63 * Math.min(Math.max(t, 0), 1))];
};

function widen(picks, profile) {
  if (profile !== "aspire") return;
  for (const pick of picks) {
    domain.low = Math.min(domain.low, Math.floor(pick[2]));
    domain.high = Math.max(domain.high, Math.ceil(pick[2]));
  }
  const slider = byId("threshold"), atEnd = threshold === null;
  slider.min = domain.low;
  slider.max = domain.high;
  if (atEnd) slider.value = domain.low;
}

// ---- the micrograph ----------------------------------------------------------------------------

function fit(canvas) {
  const box = canvas.getBoundingClientRect(), ratio = window.devicePixelRatio || 1;
  const width = Math.round(box.width * ratio), height = Math.round(box.height * ratio);
  if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
  const context = canvas.getContext("2d");
  context.setTransform(1, 0, 0, 1, 0, 0);
  context.clearRect(0, 0, width, height);
  return { context, width, height, ratio };
}

// The position of the micrograph in a canvas: its pixel (x, y) is at left + (x + 0.5) * scale.
function placed(shape, width, height) {
  const scale = Math.min(width / shape[1], height / shape[0]);
  return { scale, left: (width - shape[1] * scale) / 2, top: (height - shape[0] * scale) / 2 };
}

function drawPicture() {
  const { context, width, height } = fit(byId("picture"));
  const shape = shown && shown.row.shape;
  if (!shape) return;
  const { scale, left, top } = placed(shape, width, height);
  if (shown.image) {
    // the last bins can extend beyond the micrograph
    const bin = shown.row.preview.bin * scale;
    context.imageSmoothingQuality = "high";
    context.drawImage(shown.image, left, top, shown.image.naturalWidth * bin, shown.image.naturalHeight * bin);
  } else {
    context.fillStyle = "#1a2027";
    context.fillRect(left, top, shape[1] * scale, shape[0] * scale);
  }
}

const above = () => shown ? shown.picks.filter(pick => threshold === null || pick[2] >= threshold) : [];

function drawCircles() {
  const { context, width, height, ratio } = fit(byId("circles"));
  const picks = above();
  byId("circles").dataset.drawn = showCircles ? picks.length : 0;
  if (!shown || !shown.row.shape || !showCircles) return;
  const { scale, left, top } = placed(shown.row.shape, width, height);
  const radius = Math.max(shown.header.picker.diameter_px / 2 * scale, 2 * ratio);
  // from the worst, so that the better of two crossing circles is on top
  for (const [line, colour] of [[3.4 * ratio, () => "rgba(0,0,0,.45)"], [1.7 * ratio, pick => colourOf(pick[2])]]) {
    context.lineWidth = line;
    for (let i = picks.length - 1; i >= 0; i--) {
      context.strokeStyle = colour(picks[i]);
      context.beginPath();
      context.arc(left + (picks[i][0] + 0.5) * scale, top + (picks[i][1] + 0.5) * scale, radius, 0, 7);
      context.stroke();
    }
  }
}

function drawHistogram() {
  const { context, width, height } = fit(byId("histogram"));
  if (!shown || !shown.picks.length) return;
  const bins = new Array(50).fill(0), span = domain.high - domain.low;
  for (const pick of shown.picks) bins[Math.min(Math.floor((pick[2] - domain.low) / span * 50), 49)]++;
  const tallest = Math.max(...bins);
  bins.forEach((count, i) => {
    const score = domain.low + (i + 0.5) / 50 * span;
    const tall = count ? Math.max(count / tallest * height, 2) : 0;
    context.fillStyle = threshold === null || score >= threshold ? colourOf(score) : "#303a44";
    context.fillRect(i * width / 50, height - tall, width / 50 - 1, tall);
  });
}

function showCount() {
  const count = byId("count");
  const { status, reason } = shown.row;
  const picks = above().length;
  count.className = status;
  count.textContent = status === "picked" ? number(picks) : status;
  byId("count-of").textContent = status !== "picked" ? ""
    : threshold === null ? (picks === 1 ? "pick" : "picks") : `of ${number(shown.picks.length)} picks`;
  byId("threshold-value").textContent = threshold === null ? "any" : threshold.toFixed(2);
  byId("scale-low").textContent = domain.low;
  byId("scale-high").textContent = domain.high;
  document.title = `${status === "picked" ? number(picks) : reason} · ${shown.row.name} · pickstream`;
}

// Messages of earlier versions have texts only.
function problemsOf(row) {
  const problems = (row.problems || []).filter(problem => !["failed", "rejected"].includes(problem.code));
  return row.problems ? problems : (row.warnings || []).map(text => ({ text, advice: "" }));
}

function showFacts() {
  const { row, header } = shown, facts = byId("facts");
  facts.replaceChildren();
  const say = (name, value) => {
    const term = document.createElement("dt"), text = document.createElement("dd");
    term.textContent = name;
    text.textContent = value;
    facts.append(term, text);
  };
  if (row.score_median != null) say("median score", row.score_median.toFixed(2));
  if (row.masked != null) say("masked", `${(100 * row.masked).toFixed(1)} %`);
  if (header.result.expected_false != null) say("expected false picks", header.result.expected_false.toFixed(1));
  say("close to published", duration(row.seconds));
  if (header.picker.diameter_px)
    say("diameter", header.picker.diameter ? `${Math.round(header.picker.diameter)} Å` : `${Math.round(header.picker.diameter_px)} px`);
  byId("warnings").replaceChildren(...problemsOf(row).map(({ text, advice }) => {
    const item = document.createElement("li"), next = document.createElement("span");
    next.textContent = advice;
    item.append(text, advice ? " " : "", next);
    return item;
  }));
}

function showMessage() {
  const message = byId("message"), { row } = shown, parts = [];
  message.className = `${row.status}${row.shape ? " over" : ""}`;
  if (row.status !== "picked") parts.push(["b", row.status], ["span", row.reason]);
  else if (!row.preview) parts.push(["span", "its picture is not kept any more"]);
  message.replaceChildren(...parts.map(([tag, text]) => {
    const part = document.createElement(tag);
    part.textContent = text;
    return part;
  }));
}

function redraw() {
  drawPicture();
  drawCircles();
  drawHistogram();
}

function show(next) {
  shown = next;
  widen(shown.picks, shown.header.picker.profile);
  const { row } = shown;
  byId("name").textContent = row.name;
  byId("position").textContent = `#${row.seq} of ${number(last)} · ${clock(row.published)}` +
    (row.revision > 1 ? ` · revision ${row.revision}` : "") + (row.attempt > 1 ? ` · attempt ${row.attempt}` : "");
  byId("viewer").dataset.seq = row.seq;
  showMessage();
  showCount();
  showFacts();
  redraw();
}

function loadImage(url) {
  return new Promise(resolve => {
    const image = new Image();
    image.onload = () => resolve(image);
    image.onerror = () => resolve(null);
    image.src = url;
  });
}

// Loads the selected micrograph; repeats if the selection changes meanwhile.
let loading = false;
async function load() {
  if (loading) return;
  loading = true;
  try {
    while (selected && (!shown || shown.row.seq !== selected)) {
      const seq = selected;
      if (!rows[seq]) await fetchRows(seq - 1, 1);
      const [{ header, picks, preview }, image] = await Promise.all([
        get(`/api/micrographs/${seq}`), rows[seq].preview ? loadImage(picture("preview", seq)) : null]);
      if (!preview || !image) rows[seq].preview = null;
      // While the selection changes quickly, shows each micrograph that was loaded.
      show({ row: rows[seq], header, picks, image });
    }
  } catch (error) {
    console.warn(error);
  }
  loading = false;
}

function select(seq, follow = false) {
  const to = Math.min(Math.max(seq, 1), last);
  if (!last) return;
  following = follow;
  selected = to;
  byId("follow").classList.toggle("on", following);
  showFollow();
  reveal();
  load();
}

function showFollow() {
  const behind = last - selected;
  byId("follow").textContent = following ? "following the newest"
    : behind ? `follow the newest (${number(behind)} newer)` : "follow the newest";
}

function setThreshold(value) {
  threshold = value <= domain.low ? null : Math.min(value, domain.high);
  byId("threshold").value = threshold === null ? domain.low : threshold;
  if (!shown) return;
  showCount();
  drawCircles();
  drawHistogram();
}


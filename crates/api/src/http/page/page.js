// Asks the sensor, and shows what it says. Follows events as long as the page is looked at.

import { bar, clock, count, dollars, el, renew, si, spark, span, timeline } from "/draw.js";

const $ = (id) => document.getElementById(id);
const GRADES = ["full", "truncated", "essential", "sentinel", "off"];
const PAGE = 48;

const view = { status: null, mirrors: null, before: null, health: null, offset: 0, total: 0, decisions: [], next: null, flowsNext: null, packets: false };

// ---- asking ---------------------------------------------------------------------------------

const token = () => sessionStorage.getItem("token") ?? "";
const headers = () => (token() ? { authorization: `Bearer ${token()}` } : {});

/** What a path answers; asks for a token if one is needed. */
async function ask(path) {
  const answer = await fetch(path, { headers: headers(), cache: "no-store" });
  if (answer.status === 401) {
    wantToken();
    throw new Error("a token is needed");
  }
  const body = await answer.json();
  if (!answer.ok) throw new Error(body.error?.message ?? answer.statusText);
  return body;
}

function wantToken() {
  const dialog = $("token-dialog");
  if (!dialog.open) dialog.showModal();
}

/** Reads server-sent events for as long as they come. */
async function follow(handle) {
  const answer = await fetch("/api/v1/events", { headers: headers(), cache: "no-store" });
  if (answer.status === 401) wantToken();
  if (!answer.ok) throw new Error(answer.statusText);
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  for (let rest = ""; ;) {
    const { value, done } = await reader.read();
    if (done) return;
    rest += value;
    const events = rest.split("\n\n");
    rest = events.pop();
    for (const text of events) {
      const kind = /^event: (.*)$/m.exec(text)?.[1];
      const data = /^data: (.*)$/m.exec(text)?.[1];
      if (kind && data) handle(kind, JSON.parse(data));
    }
  }
}

async function keepFollowing() {
  for (; ;) {
    try {
      await follow(onEvent);
    } catch {
      setState("no answer", "bad");
    }
    await new Promise((resume) => setTimeout(resume, 1000));
  }
}

function onEvent(kind, data) {
  if (kind === "tick") {
    view.before = view.status;
    view.status = data.status;
    view.mirrors = data.mirrors;
    showOverview();
    showHealth();
  } else if (kind === "decision") {
    $("decisions-count").textContent = count(data.seq + 1);
    const wanted = new FormData($("decisions-form")).get("outcome");
    if (!wanted || wanted === data.outcome) {
      view.decisions = [data, ...view.decisions].slice(0, 500);
      showDecisions();
    }
  }
}

// ---- overview -------------------------------------------------------------------------------

function setState(text, kind) {
  $("state").textContent = text;
  $("state").className = `state ${kind}`;
}

const sum = (reasons) => Object.values(reasons ?? {}).reduce((all, one) => all + one, 0);
const shed = (status) => Object.values(status.sinks ?? {}).reduce((all, sink) => all + sum(sink.shed), 0);

/** Per second, since the tick before. */
function rate(of) {
  const { status, before } = view;
  if (!before || before.epoch !== status.epoch || status.time <= before.time) return null;
  return ((of(status) - of(before)) * 1e6) / (status.time - before.time);
}

function showOverview() {
  const { status, mirrors } = view;
  $("sensor").textContent = status.sensor;
  document.title = `vxscope ${status.sensor}`;
  const running = status.state === "running";
  setState(`${status.state} for ${span(status.elapsed_seconds)}`, running ? "good" : "warn");
  const packets = rate((it) => it.packets.received);
  const bytes = rate((it) => it.packets.received_bytes);
  const looked = mirrors.mode !== "";
  const tiles = [
    ["received", packets === null ? "–" : si(packets, "/s"), "packets"],
    ["bandwidth", bytes === null ? "–" : si(bytes * 8, "bit/s"), "of tunnel payload"],
    ["kernel drops", count(status.packets.kernel_dropped), "packets, this run", status.packets.kernel_dropped ? "bad" : ""],
    ["shed by outputs", count(shed(status)), "records, this run", shed(status) ? "warn" : ""],
    ["flows open", count(status.flows.open), `${count(status.flows.opened)} opened`],
    ["latency, 99 %", span(status.latency.count ? status.latency.p99 : null), "kernel to ledger"],
    ["look back", span(status.rings.tail_seconds ?? status.rings.head_seconds), "packets kept"],
    ["sources", count(status.sources), looked ? `${count(mirrors.lowered)} lowered, ${mirrors.mode}` : "nobody lowers them"],
  ];
  if (looked) {
    tiles.push(["spent on mirrors", dollars(mirrors.spent_usd), "this run", "wide"]);
    tiles.push(["saved", dollars(mirrors.saved_usd), mirrors.mode === "shadow" ? "would have been, this run" : "against always full", "wide"]);
  }
  $("tiles").replaceChildren(...tiles.map(([name, value, note, kind = ""]) =>
    el("div", { class: `tile ${kind}` }, el("span", {}, name), el("b", {}, value), el("span", {}, note))));
  $("attention").replaceChildren(...attention().map(([text, kind]) => el("li", { class: kind }, text)));
  $("footer").textContent = `vxscope ${status.version} · ${clock(status.time)} UTC · tick ${count(status.seq)}`;
}

/** What somebody should look at, worst first. */
function attention() {
  const { status, mirrors, health } = view;
  const found = [];
  if (health && !health.healthy) found.push([`A worker was last seen ${span(health.heartbeat_seconds)} ago.`, "bad"]);
  const dropped = rate((it) => it.packets.kernel_dropped);
  if (dropped > 0) found.push([`The kernel drops ${count(dropped)} packets a second: the sensor does not keep up.`, "bad"]);
  const shedding = rate(shed);
  if (shedding > 0) found.push([`Outputs give up ${count(shedding)} records a second: disk or reader is too slow.`, "bad"]);
  if (status.frames.overflow > 0) found.push([`${count(status.frames.overflow)} frames are of sources beyond flow.sources_max.`, "warn"]);
  if (mirrors.overrun_max_seconds > 120) found.push([`A source was hidden ${span(mirrors.overrun_max_seconds)} longer than it may be.`, "bad"]);
  if (status.signals.saturated_sources > 0) found.push([`Of ${count(status.signals.saturated_sources)} sources nobody can tell what is new.`, "warn"]);
  if (found.length === 0) {
    const earlier = status.packets.kernel_dropped + shed(status);
    found.push([earlier ? "Nothing is being lost now; something was, earlier." : "Nothing lost, nothing late.", earlier ? "warn" : ""]);
  }
  return found;
}

/** Grades and blind windows, from sources that are lowered and the totals. */
async function showMirrors() {
  const lowered = await ask("/api/v1/sources?grade=lowered&sort=grade&limit=1000");
  const total = view.status?.sources ?? lowered.total;
  const counts = Object.fromEntries(GRADES.map((grade) => [grade, 0]));
  for (const source of lowered.sources) counts[source.mirror.grade] += 1;
  counts.full = Math.max(total - lowered.total, 0);
  $("grades").replaceChildren(...GRADES.map((grade) =>
    bar(grade, counts[grade], total, `${count(counts[grade])} of ${count(total)}`, grade, () => filterGrade(grade))));
  const windows = lowered.sources.flatMap((source) => {
    const hidden = source.mirror.blind.filter((one) => one.seconds > 0 && one.bound_seconds > 0);
    const shares = hidden.map((one) => ({ source, one, share: one.seconds / one.bound_seconds }));
    return shares.sort((a, b) => b.share - a.share).slice(0, 1);
  }).sort((a, b) => b.share - a.share).slice(0, 12);
  $("blind").replaceChildren(...(windows.length ? windows.map(({ source, one }) =>
    bar(nameOf(source), one.seconds, one.bound_seconds, `${one.class}: ${span(one.seconds)} of ${span(one.bound_seconds)}`, source.mirror.grade, () => openSource(source))) :
    [el("p", { class: "dim" }, "Nothing is hidden on purpose.")]));
}

function filterGrade(grade) {
  $("sources-form").elements.grade.value = grade;
  view.offset = 0;
  refreshSources();
  location.hash = "sources";
}

// ---- sources --------------------------------------------------------------------------------

const nameOf = (source) => source.name ?? source.eni ?? source.mirror?.interface ?? source.outer_ip;
const interfaceOf = (source) => source.eni ?? source.mirror?.interface;

const keyOf = (source) => `${source.outer_ip},${source.vni}`;

async function showSources() {
  const form = new FormData($("sources-form"));
  const query = new URLSearchParams({ limit: PAGE, offset: view.offset, sort: form.get("sort") });
  if (form.get("search").trim()) query.set("search", form.get("search").trim());
  if (form.get("grade")) query.set("grade", form.get("grade"));
  const page = await ask(`/api/v1/sources?${query}`);
  view.total = page.total;
  const spans = form.get("span");
  renew($("cards"), page.sources, keyOf, (source) => card(source, spans));
  if (page.sources.length === 0) $("cards").append(el("p", { class: "dim" }, "No source answers to this."));
  const last = Math.min(view.offset + PAGE, page.total);
  $("sources-count").textContent = page.total > PAGE ? `${count(view.offset + 1)}–${count(last)} of ${count(page.total)}` : count(page.total);
  $("sources-before").disabled = view.offset === 0;
  $("sources-after").disabled = last >= page.total;
}

function card(source, spans) {
  const grade = source.mirror?.grade ?? "full";
  const why = grade === "full" ? "" : source.mirror.sentence;
  return el("button", { class: `card ${grade}`, type: "button", onclick: (event) => openSource(event.currentTarget.item), "data-source": nameOf(source), title: interfaceOf(source) },
    el("div", { class: "top" }, el("span", { class: "name" }, nameOf(source)), el("span", { class: "rate" }, si(source.rate, "B/s"))),
    el("div", { class: "sub" }, el("span", {}, `${source.outer_ip} · vni ${source.vni}`), el("span", { class: "chip" }, grade === "off" ? "off (paused)" : grade)),
    spark(source.series[spans], 0, `Bytes a second of ${nameOf(source)}`),
    el("div", { class: "why" }, why));
}

/** Everything about one source: why it is as it is comes first. */
async function openSource(source) {
  const page = await ask(`/api/v1/decisions?source=${encodeURIComponent(source.outer_ip)}&vni=${source.vni}&limit=50`);
  const mirror = source.mirror;
  const grade = mirror?.grade ?? "full";
  const pairs = [["source", `${source.outer_ip}, VNI ${source.vni}`], ["interface", interfaceOf(source) ?? "not known"], ["packets", count(source.signals.packets)], ["bytes", si(source.bytes, "B")],
    ["flows", `${count(source.signals.flows)}, ${count(source.signals.failed)} failed`], ["last heard", `${clock(source.last_seen)} UTC`]];
  if (mirror) {
    pairs.push(["grade", mirror.since ? `${grade} since ${clock(mirror.since)} UTC` : grade]);
    pairs.push(["pinned", mirror.pinned ? "yes, it stays full: it is new, had an alert, or somebody pinned it" : "no"]);
    if (grade !== "full") pairs.push(["back at the latest", mirror.until ? `${clock(mirror.until)} UTC` : "a token with metadata shows it"]);
  }
  const why = mirror ? mirror.sentence || "Nothing has been decided about it yet." : "Nobody looks after this mirror: it is whatever its session says.";
  const body = [
    el("button", { class: "close", type: "button", onclick: () => $("detail").close() }, "Close"),
    el("h2", { id: "detail-title" }, nameOf(source), " ", el("span", { class: `chip ${grade}` }, grade)),
    el("div", { class: `why-box ${grade}`, id: "why" }, el("b", {}, grade === "full" ? "Why it is full" : grade === "off" ? "Why it is paused" : `Why it is ${grade}`), why),
    el("dl", { class: "pairs" }, pairs.map(([name, value]) => [el("dt", {}, name), el("dd", {}, value)])),
    el("h3", {}, "Bytes a second"),
    spark(source.series.minutes.length > 2 ? source.series.minutes : source.series.ticks, 0, "Bytes a second"),
  ];
  if (mirror) {
    body.push(el("h3", {}, "Hidden, against its bound"), mirror.blind.map((one) =>
      bar(one.class, one.seconds, one.bound_seconds, one.seconds ? `${span(one.seconds)} of ${span(one.bound_seconds)}` : "visible", grade)));
  }
  body.push(el("h3", {}, "Its decisions"), el("ol", { class: "list" }, page.decisions.map((one) => decisionItem(one, false))));
  if (page.decisions.length === 0) body.push(el("p", { class: "dim" }, "None yet."));
  $("detail-body").replaceChildren(...body.flat());
  if (!$("detail").open) $("detail").showModal();
}

async function openByDecision(decision) {
  const page = await ask(`/api/v1/sources?search=${encodeURIComponent(decision.outer_ip)}&limit=1000`);
  const source = page.sources.find((one) => one.outer_ip === decision.outer_ip && one.vni === decision.vni);
  if (source) await openSource(source);
}

// ---- decisions ------------------------------------------------------------------------------

function decisionItem(decision, withName) {
  const kind = decision.outcome === "refused" ? "refused" : decision.action;
  const chips = el("span", { class: "chips" }, el("span", { class: `chip ${kind}` }, decision.outcome),
    withName ? el("button", { class: "link", type: "button", onclick: () => openByDecision(decision) }, decision.interface) : null);
  return el("li", {}, el("time", {}, clock(decision.at)), chips, el("p", {}, decision.sentence));
}

async function loadDecisions(older) {
  const query = new URLSearchParams({ limit: 100 });
  const outcome = new FormData($("decisions-form")).get("outcome");
  if (outcome) query.set("outcome", outcome);
  if (older && view.next !== null) query.set("before", view.next);
  const page = await ask(`/api/v1/decisions?${query}`);
  view.decisions = older ? [...view.decisions, ...page.decisions].slice(0, 2000) : page.decisions;
  view.next = page.next;
  $("decisions-count").textContent = count(page.total);
  showDecisions();
}

function showDecisions() {
  const { decisions } = view;
  const told = decisions.filter((one) => one.outcome !== "effective");
  $("timeline").replaceChildren(told.length ? timeline(told, openByDecision) : el("p", { class: "dim" }, "Nobody was lowered or raised so far."));
  renew($("decision-list"), decisions.slice(0, 200), (one) => one.seq, (one) => decisionItem(one, true));
  $("decisions-older").disabled = view.next === null;
}

// ---- flows ----------------------------------------------------------------------------------

const PROTOCOLS = { 1: "ICMP", 6: "TCP", 17: "UDP", 58: "ICMPv6", 132: "SCTP" };
const end = (address, port) => (address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`);

async function showFlows(older) {
  const query = new URLSearchParams({ limit: 50 });
  const search = new FormData($("flows-form")).get("search").trim();
  if (search) query.set("search", search);
  if (older && view.flowsNext !== null) query.set("before", view.flowsNext);
  $("flows-error").hidden = true;
  try {
    const page = await ask(`/api/v1/flows?${query}`);
    view.flowsNext = page.next ?? null;
    const body = $("flow-table").tBodies[0];
    view.flowsOlder = older;
    if (older) body.append(...page.flows.map(flowRow));
    else renew(body, page.flows, (flow) => flow.seq, flowRow, true);
    const few = search ? `none of ${count(page.remembered)} remembered fits` : "none yet: a flow is told of when it has ended";
    const many = `${count(page.remembered)} remembered${page.forgotten ? `, ${count(page.forgotten)} older ones in eve.json` : ""}`;
    $("flows-count").textContent = page.flows.length || older ? many : few;
    $("flows-older").disabled = view.flowsNext === null;
  } catch (error) {
    $("flows-error").textContent = error.message;
    $("flows-error").hidden = false;
  }
}

function flowRow(flow) {
  const cells = [clock(flow.end), `${flow.outer_ip} vni ${flow.vni}`, PROTOCOLS[flow.protocol] ?? flow.protocol,
    end(flow.originator, flow.originator_port), end(flow.responder, flow.responder_port)];
  const numbers = [`${count(flow.packets[0])} / ${count(flow.packets[1])}`, `${si(flow.bytes[0], "B")} / ${si(flow.bytes[1], "B")}`];
  return el("tr", { title: `${flow.community_id}, flow ${flow.flow_id}` }, cells.map((text) => el("td", {}, text)),
    numbers.map((text) => el("td", { class: "n" }, text)), el("td", {}, `${flow.state}, ${flow.reason}`),
    el("td", {}, el("button", { type: "button", onclick: (event) => download(event.currentTarget, flow) }, "get")));
}

/** The packets of a flow as a capture; the button then says how many there still were. */
async function download(button, flow) {
  const query = new URLSearchParams({ flow_id: flow.flow_id, vni: flow.vni, reason: "asked for on the page" });
  button.disabled = true;
  try {
    const answer = await fetch(`/api/v1/extract?${query}`, { headers: headers(), cache: "no-store" });
    if (answer.status === 401) wantToken();
    if (!answer.ok) throw new Error((await answer.json()).error?.message ?? answer.statusText);
    const address = URL.createObjectURL(await answer.blob());
    el("a", { href: address, download: `flow-${flow.flow_id}.pcap` }).click();
    setTimeout(() => URL.revokeObjectURL(address), 10000);
    const [found, seen] = ["found", "seen"].map((name) => answer.headers.get(`x-vxscope-packets-${name}`));
    button.textContent = `${found} of ${seen}`;
  } catch (error) {
    button.textContent = "not given";
    button.title = error.message;
  }
  button.disabled = false;
}

// ---- health ---------------------------------------------------------------------------------

function table(title, rows, none) {
  const there = rows.filter(([, value]) => value !== "0");
  return el("div", { class: "panel" }, el("h3", {}, title), there.length
    ? el("table", {}, el("tbody", {}, there.map(([name, value]) => el("tr", {}, el("td", {}, name), el("td", { class: "n" }, value)))))
    : el("p", { class: "dim" }, none));
}

const reasonRows = (reasons) => Object.entries(reasons ?? {}).map(([name, value]) => [name, count(value)]);

function showHealth() {
  const { status, health } = view;
  const sinks = Object.entries(status.sinks).flatMap(([name, sink]) =>
    [[`${name}: written`, `${count(sink.written)} of ${count(sink.offered)}`], ...reasonRows(sink.shed).map(([reason, value]) => [`${name}: shed, ${reason}`, value])]);
  const workers = status.workers.map((worker, number) =>
    [`worker ${number}`, `${count(worker.received)} received, ${count(worker.kernel_dropped)} dropped`]);
  if (health) workers.unshift(["last seen", `${span(health.heartbeat_seconds)} ago`]);
  workers.push(["latency 50 / 99 / 100 %", [status.latency.p50, status.latency.p99, status.latency.max].map(span).join(" / ")]);
  const rings = [["memory", si(status.rings.bytes, "B")], ["look back, beginnings", span(status.rings.head_seconds)], ["look back, rest", span(status.rings.tail_seconds)],
    ["stored", count(status.rings.stored)], ...reasonRows(status.rings.unstored).map(([name, value]) => [`unstored, ${name}`, value])];
  $("health-panels").replaceChildren(
    table("Rejected datagrams", reasonRows(status.packets.rejected), "None: every datagram was a mirrored frame."),
    table("Frames in no flow", reasonRows(status.packets.untracked), "None."),
    table("Outputs", sinks, "None."), table("Rings", rings, "Off."), table("Workers", workers, "None."));
}

// ---- beginning ------------------------------------------------------------------------------

/** Lets one question run at a time, and no page in the background ask. */
function every(milliseconds, work) {
  const turn = async () => {
    if (!document.hidden) await work().catch(() => {});
    setTimeout(turn, milliseconds);
  };
  return turn();
}

const refreshSources = () => showSources().catch(() => {});

function begin() {
  $("sources-form").addEventListener("input", () => { view.offset = 0; refreshSources(); });
  $("sources-before").addEventListener("click", () => { view.offset = Math.max(view.offset - PAGE, 0); refreshSources(); });
  $("sources-after").addEventListener("click", () => { view.offset += PAGE; refreshSources(); });
  $("decisions-form").addEventListener("input", () => loadDecisions(false).catch(() => {}));
  $("decisions-older").addEventListener("click", () => loadDecisions(true).catch(() => {}));
  $("flows-form").addEventListener("submit", () => showFlows(false));
  $("flows-older").addEventListener("click", () => showFlows(true));
  for (const form of ["sources-form", "decisions-form", "flows-form"]) $(form).addEventListener("submit", (event) => event.preventDefault());
  $("detail").addEventListener("click", (event) => { if (event.target === $("detail")) $("detail").close(); });
  $("token-button").addEventListener("click", wantToken);
  $("token-dialog").addEventListener("close", () => {
    const answer = $("token-dialog").returnValue;
    if (answer === "use") sessionStorage.setItem("token", $("token-field").value.trim());
    if (answer === "forget") sessionStorage.removeItem("token");
    $("token-field").value = "";
    if (answer) location.reload();
  });
  keepFollowing();
  loadDecisions(false).catch(() => {});
  every(2000, showSources);
  every(2000, showMirrors);
  every(5000, async () => { view.health = await ask("/api/v1/health"); });
  every(10000, async () => { if (!view.flowsOlder) await showFlows(false); });
}

begin();

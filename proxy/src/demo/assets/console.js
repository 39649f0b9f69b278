// The live half of the demo's page: runs tries, lights the lamps, follows the record.
// Everything that comes from outside is put in as text, never as markup.
"use strict";

const byId = (id) => document.getElementById(id);

function element(tag, attributes, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {})) made.setAttribute(name, value);
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

// Which question of the gate a reason code answers with no.
const STEPS = ["clear", "who", "clinic", "may", "app"];
function stepOf(code) {
  if (/^(NO_CREDENTIAL|TOKEN_|SESSION_|STEP_UP)/.test(code)) return "who";
  if (/^(NO_TENANT|TENANT_)/.test(code)) return "clinic";
  if (/^(NOT_GRANTED|NOT_OWN|CONDITION|LIMITED)$/.test(code)) return "may";
  if (/^(APP_|TRIPWIRE)/.test(code)) return "app";
  if (code === "NOT_RECORDED") return "record";
  return "clear";
}

function light(code) {
  const stop = code ? stepOf(code) : null;
  const reached = stop ? STEPS.indexOf(stop) : STEPS.length;
  STEPS.forEach((step, index) => {
    const state = step === stop ? "stop" : index < reached ? "pass" : step === "app" ? "closed" : "idle";
    document.querySelector(`[data-step="${step}"]`).dataset.lamp = state;
  });
  document.querySelector('[data-step="record"]').dataset.lamp = stop === "record" ? "stop" : "pass";
}

function parsed(text) {
  try { return JSON.parse(text); } catch { return null; }
}

// The reason code in a refusal (RFC 9457), wherever the gate put it.
function codeOf(told) {
  const problem = parsed(told.body);
  return problem && typeof problem.code === "string" ? problem.code : null;
}

const LEAKS = new Set(["server", "x-powered-by"]);
const GUARDS = new Set(["strict-transport-security", "content-security-policy", "x-content-type-options",
  "x-frame-options", "referrer-policy", "permissions-policy", "cross-origin-opener-policy",
  "cross-origin-resource-policy", "www-authenticate", "retry-after", "x-request-id"]);

function headerList(headers, marks) {
  const list = element("dl");
  for (const [name, value] of headers) {
    const mark = marks.has(name) ? { "data-mark": marks === LEAKS ? "leak" : "guard" } : {};
    list.append(element("dt", mark, name), element("dd", {}, value));
  }
  return element("details", {}, element("summary", {}, `${headers.length} headers`), list);
}

// What a stranger would have got to see, in a sentence.
function remark(app, refused) {
  if (!refused || !app || app.error || app.status >= 500 && !/patient/i.test(app.body)) return null;
  const people = (app.body.match(/"born"/g) || []).length;
  if (app.status < 300 && people) return `hands out ${people} patient${people > 1 ? "s" : ""} to whoever asks`;
  if (app.status < 300) return "does it, no questions asked";
  if (/patient/i.test(app.body) && app.status === 500) return "prints a stack trace with a patient's name";
  return null;
}

// A body as a person would read it: JSON laid out, of a page its words.
function readable(told) {
  const value = parsed(told.body);
  if (value) return JSON.stringify(value, null, 1);
  const type = told.headers.find(([name]) => name === "content-type");
  if (!type || !type[1].startsWith("text/html")) return told.body.trim() || "(empty)";
  // Parsed, but never shown as markup: nothing in it runs or loads.
  const page = new DOMParser().parseFromString(told.body, "text/html");
  return (page.querySelector("main") || page.body).textContent.replace(/\n\s*\n+/g, "\n").trim();
}

function showSide(side, told, marks, comment, good) {
  const title = element("h3", {}, good ? "Through the gate" : "Without it");
  side.replaceChildren(title);
  if (!told || told.error) {
    title.append(element("span", { class: "status", "data-kind": "deny" }, "no answer"));
    side.append(element("pre", {}, told ? told.error : ""));
    return;
  }
  // Past the gate an answer is neither good nor bad, unless it gave something away.
  const kind = good ? (told.status < 400 ? "allow" : "deny") : comment ? "deny" : "plain";
  title.append(element("span", { class: "status", "data-kind": kind }, String(told.status)));
  if (comment) side.append(element("p", { class: "remark" }, comment));
  side.append(element("pre", { tabindex: "0" }, readable(told)));
  side.append(headerList(told.headers, marks));
}

let current = "";

function show(result, button) {
  const gate = result.gate;
  const code = gate.error ? null : codeOf(gate);
  const asExpected = !gate.error && gate.status === result.expect.status && code === result.expect.code;
  current = gate.error ? "" : JSON.stringify(gate);
  light(gate.error ? "APP_DOWN" : code);
  byId("gate-who").textContent = button.querySelector(".try-who").textContent;
  const kind = code || gate.error ? "deny" : "allow";
  const word = gate.error ? "No answer" : code ? `${gate.status} ${code}` : `${gate.status} let in`;
  byId("summary").replaceChildren(
    element("p", { class: "verdict", "data-kind": kind }, element("b", {}, word), element("span", {}, result.title)));
  showSide(byId("side-gate"), gate, GUARDS, null, true);
  showSide(byId("side-bare"), result.bare, LEAKS, remark(result.bare, code), false);
  byId("sides").hidden = false;
  byId("curl").hidden = false;
  byId("curl-line").textContent = result.curl;
  button.querySelector(".badge").dataset.seen = asExpected ? "yes" : "no";
  for (const other of document.querySelectorAll(".try[aria-current]")) other.removeAttribute("aria-current");
  button.setAttribute("aria-current", "true");
  for (const row of byId("rows").children) markMine(row);
  return asExpected;
}

async function run(button) {
  const name = button.dataset.try;
  const answer = await fetch(`/try/${encodeURIComponent(name)}`, { method: "POST" });
  const result = parsed(await answer.text());
  if (!result || result.error) {
    byId("summary").replaceChildren(element("p", { class: "empty" }, result ? result.error : "The demo did not answer."));
    return false;
  }
  return show(result, button);
}

async function runAll(button) {
  const tries = [...document.querySelectorAll(".try")];
  button.disabled = true;
  let good = 0;
  for (const [index, one] of tries.entries()) {
    button.textContent = `${index + 1} of ${tries.length}`;
    one.scrollIntoView({ block: "nearest" });
    if (await run(one)) good += 1;
  }
  button.textContent = `${good} of ${tries.length} as expected`;
  button.disabled = false;
}

// The record --------------------------------------------------------------------------------------------------------

const MAX_ROWS = 300;
let lines = 0;

function markMine(row) {
  if (row.dataset.request && current.includes(row.dataset.request)) row.dataset.mine = "";
  else delete row.dataset.mine;
}

function addRow(text, isNew) {
  const event = parsed(text);
  if (!event) return;
  const kind = event.decision || "deny";
  const who = event.actor ? event.actor.sub : "nobody";
  const about = [who, event.tenant, event.rule && `rule ${event.rule}`, event.act].filter(Boolean).join("  ·  ");
  const time = String(event.at || "").slice(11, 19);
  const route = event.route || "no rule";
  const status = event.status ? String(event.status) : "";
  const row = element("details", { class: isNew ? "row new" : "row" },
    element("summary", {},
      element("time", {}, time),
      element("span", { class: "pill", "data-kind": kind }, kind),
      element("span", { class: "what" }, element("code", {}, route), element("div", { class: "about" }, about)),
      element("span", { class: "why", "data-kind": kind }, [status, event.code].filter(Boolean).join(" "))),
    element("pre", {}, text));
  if (event.request) row.dataset.request = event.request;
  markMine(row);
  byId("no-rows").hidden = true;
  const rows = byId("rows");
  rows.prepend(row);
  if (rows.children.length > MAX_ROWS) rows.lastElementChild.remove();
  lines += 1;
  byId("count").textContent = String(lines);
}

function follow() {
  const source = new EventSource("/events");
  const opened = Date.now();
  source.onmessage = (message) => addRow(message.data, Date.now() - opened > 800);
  source.onopen = () => { byId("live").dataset.state = "on"; };
  source.onerror = () => { byId("live").dataset.state = "off"; };
}

for (const button of document.querySelectorAll(".try")) {
  button.disabled = false;
  button.addEventListener("click", async () => {
    await run(button);
    if (matchMedia("(max-width: 1080px)").matches) byId("answer").scrollIntoView({ behavior: "smooth" });
  });
}
byId("run-all").hidden = false;
byId("run-all").addEventListener("click", (click) => runAll(click.currentTarget));
byId("copy").addEventListener("click", async () => {
  const folder = document.querySelector(".folder code").textContent;
  await navigator.clipboard.writeText(`cd ${folder} && ${byId("curl-line").textContent}`);
  byId("copy").textContent = "Copied";
});
follow();

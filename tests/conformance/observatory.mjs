// Grades answers by the headers that they carry: the tests and the scale of MDN's HTTP Observatory, and Google's CSP evaluator.
// usage: node observatory.mjs FOLDER_WITH_NODE_MODULES < answers.json > grades.json
// answers: [{ name, url, status, headers: [[name, value], ..], body, preflight: { status, headers } | null }, ..]
// The Observatory's own scanner asks only for `/` at the public port 443, and only grades what is no error; this hands its
// tests one answer after the other.
import fs from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import { pathToFileURL } from "node:url";

const modules = path.resolve(process.argv[2], "node_modules");
const own = path.join(modules, "@mdn", "mdn-http-observatory");
// The list of preloaded hosts is fetched when the package is installed, from elsewhere; a host of a test stands in none.
const preload = path.join(own, "conf", "hsts-preload.json");
if (!fs.existsSync(preload)) fs.writeFileSync(preload, "{}");

const load = (file) => import(pathToFileURL(path.join(own, "src", file)).href);
const { ALL_TESTS } = await load("constants.js");
const { Requests } = await load("types.js");
const grader = await load("grader/grader.js");
const { MINIMUM_SCORE_FOR_EXTRA_CREDIT } = await load("grader/charts.js");
const require = createRequire(path.join(modules, "x.js"));
const { AxiosHeaders } = require("axios");
const { CookieJar } = require("tough-cookie");
const { CspEvaluator } = require("csp_evaluator/dist/evaluator.js");
const { CspParser } = require("csp_evaluator/dist/parser.js");
const { Severity } = require("csp_evaluator/dist/finding.js");

function response(answer) {
  const headers = new AxiosHeaders();
  const all = new Map();
  for (const [name, value] of answer.headers) all.set(name, [...(all.get(name) ?? []), value]);
  for (const [name, values] of all) headers.set(name, name === "set-cookie" ? values : values.join(", "));
  return { headers, request: { headers: new AxiosHeaders() }, status: answer.status, statusText: "", verified: true,
    data: answer.body, config: { headers: new AxiosHeaders() }, httpEquiv: new Map() };
}

function observed(answer) {
  const url = new URL(answer.url);
  const asked = new Requests(url.hostname);
  asked.responses.auto = response(answer);
  asked.responses.https = response(answer);
  asked.responses.http = null; // the gate has no port without TLS
  asked.responses.cors = answer.preflight ? response({ body: "", ...answer.preflight }) : null;
  asked.resources.path = answer.body;
  const jar = new CookieJar();
  for (const [name, value] of answer.headers) if (name === "set-cookie") jar.setCookieSync(value, url.href, { ignoreError: true });
  asked.session = { url, jar, redirectHistory: [{ url, status: answer.status }] };
  const results = ALL_TESTS.map((test) => test(asked));
  let score = 100;
  let uncurved = 100;
  for (const one of results) {
    const by = grader.getScoreModifier(one.result);
    score += by;
    if (by < 0) uncurved += by;
  }
  const final = grader.getGradeForScore(uncurved >= MINIMUM_SCORE_FOR_EXTRA_CREDIT ? score : uncurved);
  return { ...final, failed: results.filter((one) => !one.pass).map((one) => `${one.constructor.name}: ${one.result}`) };
}

function policy(answer) {
  const findings = [];
  for (const [name, value] of answer.headers) {
    if (name !== "content-security-policy") continue;
    for (const one of new CspEvaluator(new CspParser(value).csp).evaluate())
      findings.push({ severity: Severity[one.severity], rank: one.severity, directive: one.directive, value: one.value ?? null, text: one.description });
  }
  return findings;
}

const answers = JSON.parse(fs.readFileSync(0, "utf8"));
console.log(JSON.stringify(answers.map((answer) => ({ name: answer.name, status: answer.status, ...observed(answer), csp: policy(answer) }))));

// An identity provider that nobody here wrote: npm's `oidc-provider`, with invented people, over TLS on loopback.
// usage: node provider.mjs FOLDER_WITH_NODE_MODULES < settings.json
// settings, `?` may be left out:
//   port, control      where it listens: https, and plain HTTP for the test that steers it (see `steer`)
//   issuer             https://HOST:PORT
//   certificate, key   PEM files
//   audience           of its access tokens, which are JWTs
//   algorithm?         that it signs with: RS256 (left out), PS256, ES256 or Ed25519
//   clients            as OpenID Connect registers them (`client_id`, `redirect_uris`, ..)
//   accounts           { NAME: { password, code?, second?, claims } }: `code` is the second factor, which is asked for where
//                      a client wants it, and always with `second: true`; `claims` go into both tokens
//   contexts?          { one, two: [..] }: values of `acr` for a password, and for a code as well (the one that was asked for)
//   hint?              true: who is named by `login_hint` is signed in without a page
//   ask_logout?        false: nobody is asked whether to sign out; "without-hint": only who comes without an ID token is
//   seconds?           { access, id, refresh, session }: lifetimes
//   cache?             `Cache-Control` of the key set
//   trust?             PEM file of the authority of those who are called (back-channel logout); each at 127.0.0.1
// The state (sessions, grants, codes) outlives a rotation of keys, which the library itself cannot do: it is made anew.
import crypto from "node:crypto";
import fs from "node:fs";
import http from "node:http";
import https from "node:https";
import path from "node:path";
import { pathToFileURL } from "node:url";

const modules = path.resolve(process.argv[2], "node_modules", "oidc-provider", "lib", "index.js");
const { Provider, interactionPolicy } = await import(pathToFileURL(modules).href);
const settings = JSON.parse(fs.readFileSync(0, "utf8"));
const algorithm = settings.algorithm ?? "RS256";
const contexts = settings.contexts ?? {
  one: "urn:example:password",
  two: ["http://schemas.openid.net/pape/policies/2007/06/multi-factor", "phr", "urn:example:second"],
};
const seconds = { access: 300, id: 300, refresh: 3600, session: 3600, ...settings.seconds };
const names = [...new Set(Object.values(settings.accounts).flatMap((account) => Object.keys(account.claims)))];
const now = () => Math.floor(Date.now() / 1000);

// --- what is kept -------------------------------------------------------------------------------------------------

const kept = new Map();

class Kept {
  constructor(model) {
    this.model = model;
  }
  async upsert(id, payload, life) {
    kept.set(`${this.model}:${id}`, { ...payload, ends: life ? now() + life : Infinity });
  }
  async find(id) {
    const found = kept.get(`${this.model}:${id}`);
    return found && found.ends > now() ? found : undefined;
  }
  async findByUid(uid) {
    return [...kept].find(([key, value]) => key.startsWith(`${this.model}:`) && value.uid === uid)?.[1];
  }
  async findByUserCode() {}
  async consume(id) {
    kept.get(`${this.model}:${id}`).consumed = now();
  }
  async destroy(id) {
    kept.delete(`${this.model}:${id}`);
  }
  async revokeByGrantId(grant) {
    for (const [key, value] of kept) if (value.grantId === grant) kept.delete(key);
  }
}

// --- keys: the first one signs ------------------------------------------------------------------------------------

const KINDS = {
  RS256: ["rsa", { modulusLength: 2048 }],
  PS256: ["rsa", { modulusLength: 2048 }],
  ES256: ["ec", { namedCurve: "P-256" }],
  Ed25519: ["ed25519", {}],
};

function key() {
  const { privateKey } = crypto.generateKeyPairSync(...KINDS[algorithm]);
  return { ...privateKey.export({ format: "jwk" }), kid: crypto.randomUUID(), use: "sig", alg: algorithm };
}

// --- the provider -------------------------------------------------------------------------------------------------

const policy = interactionPolicy.base();
// A context that is asked for and not there is asked of the person, once; whoever cannot show it comes back without it.
policy.get("login").checks.push(
  new interactionPolicy.Check("context", "a stronger sign-in is asked for", "login_required", ({ oidc }) => {
    const asked = wanted(oidc.params);
    return asked.length > 0 && !asked.includes(oidc.session.acr) && !oidc.result?.login;
  }),
);

function wanted(params) {
  return (params.acr_values ?? "").split(" ").filter(Boolean);
}

// What a token says of how its owner signed in: of the grant that it comes from, so that a refreshed one says the same.
async function signIn(ctx, token) {
  const { AuthorizationCode: code, RefreshToken: refresh } = ctx.oidc.entities;
  const from = code ?? refresh;
  return { acr: from?.acr, amr: from?.amr, auth_time: from?.authTime, sid: token.sid };
}

const cookieKeys = [crypto.randomBytes(32).toString("hex")];

function provider(keys) {
  const made = new Provider(settings.issuer, {
    adapter: Kept,
    jwks: { keys },
    clients: settings.clients,
    clientDefaults: { id_token_signed_response_alg: algorithm, require_auth_time: true },
    enabledJWA: { idTokenSigningAlgValues: [algorithm] },
    acrValues: [contexts.one, ...contexts.two],
    claims: { openid: ["sub", "acr", "amr", "auth_time", "sid", ...names] },
    conformIdTokenClaims: false,
    cookies: { keys: cookieKeys },
    findAccount: (_, id) =>
      settings.accounts[id] && { accountId: id, claims: async () => ({ sub: id, ...settings.accounts[id].claims }) },
    extraTokenClaims: async (ctx, token) => ({
      ...settings.accounts[token.accountId]?.claims,
      ...(await signIn(ctx, token)),
    }),
    features: {
      devInteractions: { enabled: false },
      backchannelLogout: { enabled: true },
      rpInitiatedLogout: {
        enabled: true,
        logoutSource: (ctx, form) => {
          const hinted = Boolean(ctx.oidc.entities.IdTokenHint);
          const ask = settings.ask_logout === "without-hint" ? !hinted : settings.ask_logout !== false;
          const yes = `<button id="yes" form="op.logoutForm" type="submit" name="logout" value="yes">Sign out</button>`;
          const go = ask ? "" : `<script>document.getElementById("yes").click()</script>`;
          ctx.body = page("Sign out?", `${form}${yes}${go}`);
        },
      },
      revocation: { enabled: true },
      resourceIndicators: {
        enabled: true,
        defaultResource: () => settings.audience,
        useGrantedResource: () => true,
        getResourceServerInfo: () => ({
          audience: settings.audience,
          accessTokenFormat: "jwt",
          accessTokenTTL: seconds.access,
          jwt: { sign: { alg: algorithm } },
          scope: "",
        }),
      },
    },
    fetch: call,
    interactions: { policy, url: (_, interaction) => `/interaction/${interaction.uid}` },
    issueRefreshToken: async (_, client) => client.grantTypeAllowed("refresh_token"),
    rotateRefreshToken: true,
    loadExistingGrant: async (ctx) => {
      const grant = new ctx.oidc.provider.Grant({ clientId: ctx.oidc.client.clientId, accountId: ctx.oidc.session.accountId });
      grant.addOIDCScope([...ctx.oidc.requestParamOIDCScopes].join(" ") || "openid");
      grant.addResourceScope(settings.audience, "");
      grant.addOIDCClaims(names);
      await grant.save();
      return grant;
    },
    scopes: ["openid", "offline_access"],
    ttl: {
      AccessToken: seconds.access,
      IdToken: seconds.id,
      RefreshToken: seconds.refresh,
      Session: seconds.session,
      Grant: seconds.session,
      Interaction: 600,
    },
  });
  made.on("server_error", (_, error) => console.error(error));
  for (const name of ["authorization.error", "grant.error", "end_session.error", "backchannel.error"])
    made.on(name, (_, error) => console.error(name, error.error ?? "", error.error_description ?? error.message));
  return { made, answer: made.callback() };
}

// Whoever is called is at 127.0.0.1, whatever its name, and is believed by the given authority alone.
async function call(url, { method, headers, body }) {
  const to = new URL(url);
  const text = String(body);
  const options = {
    host: "127.0.0.1", port: to.port, servername: to.hostname, path: to.pathname + to.search, method, timeout: 2000,
    ca: settings.trust && fs.readFileSync(settings.trust),
    headers: { ...Object.fromEntries(headers), host: to.host, "content-length": Buffer.byteLength(text) },
  };
  return new Promise((resolve, reject) => {
    const request = https.request(options, (answer) => {
      answer.resume();
      resolve({ status: answer.statusCode });
    });
    request.on("timeout", () => request.destroy(new Error("no answer in time")));
    request.on("error", reject);
    request.end(text);
  });
}

let keys = [key()];
let current = provider(keys);

// --- pages --------------------------------------------------------------------------------------------------------

const safe = (text) => String(text).replace(/[&<>"']/g, (letter) => `&#${letter.charCodeAt(0)};`);

function page(title, body) {
  return `<!doctype html><html lang="en"><meta charset="utf-8"><title>${safe(title)}</title><h1>${safe(title)}</h1>${body}</html>`;
}

function passwordPage(hint, said) {
  return page("Sign in", `<p id="said">${safe(said)}</p><form method="post">
    <label>Name <input name="login" id="login" value="${safe(hint ?? "")}"></label>
    <label>Password <input name="password" id="password" type="password"></label>
    <button id="go">Sign in</button></form>`);
}

function codePage(said) {
  return page("Second factor", `<p id="said">${safe(said)}</p><form method="post">
    <label>Code <input name="code" id="code" autocomplete="one-time-code"></label><button id="go">Confirm</button></form>`);
}

async function form(request) {
  let text = "";
  for await (const part of request) if ((text += part).length > 10_000) throw new Error("too long");
  return new URLSearchParams(text);
}

const halfway = new Map(); // interactions whose password was right

async function interact(request, response) {
  const { uid, prompt, params, session } = await current.made.interactionDetails(request, response);
  const show = (html) => response.setHeader("content-type", "text/html; charset=utf-8").end(html);
  const second = wanted(params).find((one) => contexts.two.includes(one));
  const known = prompt.reasons.every((reason) => reason === "context") ? session?.accountId : undefined;
  const finish = async (accountId, both) => {
    halfway.delete(uid);
    const login = both
      ? { accountId, acr: second ?? contexts.two[0], amr: ["pwd", "otp"], ts: now() }
      : { accountId, acr: contexts.one, amr: ["pwd"], ts: now() };
    await current.made.interactionFinished(request, response, { login });
  };
  const proven = async (accountId) => {
    const account = settings.accounts[accountId];
    if (!account.code || !(second || account.second)) return finish(accountId, false);
    halfway.set(uid, accountId);
    show(codePage(""));
  };
  if (request.method === "GET") {
    const hinted = settings.hint && settings.accounts[params.login_hint] && params.login_hint;
    if (hinted) return finish(hinted, Boolean(settings.accounts[hinted].code && (second || settings.accounts[hinted].second)));
    return known ? proven(known) : show(passwordPage(params.login_hint, ""));
  }
  const fields = await form(request);
  const name = halfway.get(uid);
  if (name !== undefined) {
    return fields.get("code") === settings.accounts[name].code ? finish(name, true) : show(codePage("That code is wrong."));
  }
  const account = Object.hasOwn(settings.accounts, fields.get("login") ?? "") && settings.accounts[fields.get("login")];
  const right = account && account.password === fields.get("password");
  return right ? proven(fields.get("login")) : show(passwordPage(fields.get("login"), "That name or password is wrong."));
}

// --- being up, and being steered ----------------------------------------------------------------------------------

const seen = { jwks: 0, discovery: 0, token: 0 };
const COUNTED = { "/jwks": "jwks", "/.well-known/openid-configuration": "discovery", "/token": "token" };
let mood = { status: 0, delay: 0 };

async function answer(request, response) {
  const { pathname } = new URL(request.url, settings.issuer);
  if (COUNTED[pathname]) seen[COUNTED[pathname]] += 1;
  if (mood.delay) await new Promise((resolve) => setTimeout(resolve, mood.delay));
  if (mood.status) return response.writeHead(mood.status).end();
  if (pathname === "/jwks" && settings.cache) response.setHeader("cache-control", settings.cache);
  if (pathname.startsWith("/interaction/")) {
    return interact(request, response).catch((error) => response.writeHead(400).end(page("Not now", `<p>${safe(error.message)}</p>`)));
  }
  return current.answer(request, response);
}

const open = new Set();
let server;

function up() {
  server = https.createServer({ cert: fs.readFileSync(settings.certificate), key: fs.readFileSync(settings.key) }, answer);
  server.on("connection", (socket) => open.add(socket) && socket.on("close", () => open.delete(socket)));
  return new Promise((resolve) => server.listen(settings.port, "127.0.0.1", resolve));
}

function down() {
  const closed = new Promise((resolve) => server.close(resolve));
  for (const socket of open) socket.destroy();
  return closed;
}

function keep(next) {
  keys = next;
  current = provider(keys);
}

// Ends each session of an account, and tells the clients that asked to be told (OpenID Connect Back-Channel Logout).
async function end(account) {
  const told = [];
  for (const [id, session] of kept) {
    if (!id.startsWith("Session:") || session.accountId !== account) continue;
    for (const [client, { sid }] of Object.entries(session.authorizations ?? {})) {
      const found = await current.made.Client.find(client);
      if (!found?.backchannelLogoutUri) continue;
      const error = await found.backchannelLogout(account, sid).then(() => null, (failed) => failed.message);
      told.push({ client, sid, error });
    }
    kept.delete(id);
  }
  return { told };
}

const steer = {
  "/state": () => ({ kids: keys.map((one) => one.kid), seen, sessions: [...kept.keys()].filter((id) => id.startsWith("Session:")).length }),
  "/announce": () => keep([...keys, key()]),                   // a new key is published, and the old one signs
  "/sign": () => keep([keys.at(-1), ...keys.slice(0, -1)]),    // the key that was published last signs
  "/rotate": () => keep([key(), ...keys]),                     // a new key signs at once; the old ones stay published
  "/withdraw": () => keep(keys.slice(0, 1)),                   // only the key that signs is published
  "/down": down,                                               // nobody listens
  "/up": up,
  "/mood": (query) => void (mood = { status: Number(query.get("status")), delay: Number(query.get("delay")) }),
  "/end": (query) => end(query.get("account")),
};

await up();
http.createServer(async (request, response) => {
  const { pathname, searchParams } = new URL(request.url, "http://control");
  const act = steer[pathname];
  if (!act) return response.writeHead(404).end();
  try {
    response.setHeader("content-type", "application/json").end(JSON.stringify((await act(searchParams)) ?? {}));
  } catch (error) {
    response.writeHead(500).end(JSON.stringify({ error: error.message }));
  }
}).listen(settings.control, "127.0.0.1");

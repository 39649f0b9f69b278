// Node's plain http with the two ways in which people read an address: `new URL`, and `url.parse`.
const fs = require('fs');
const http = require('http');
const legacy = require('url');
const querystring = require('querystring');

const ROUTES = [
  [/^\/$/, { GET: 'root', POST: 'root' }],
  [/^\/open\/.*$/, { GET: 'open', POST: 'open' }],
  [/^\/admin(\/.*)?$/, { GET: 'admin', POST: 'admin', PUT: 'admin', DELETE: 'admin' }],
  [/^\/items$/, { GET: 'list' }],
  [/^\/items\/(?<id>[^/]+)$/, { GET: 'show', POST: 'update', PUT: 'replace', DELETE: 'remove' }],
  [/^\/items\/(?<id>[^/]+)\/delete$/, { POST: 'delete', DELETE: 'delete' }],
];

function executed(request, path, query) {
  const method = request.method === 'HEAD' ? 'GET' : request.method;
  for (const [pattern, methods] of ROUTES) {
    const found = pattern.exec(path);
    if (!found || !methods[method]) continue;
    const one = (name) => [request.headers[name]];
    const write = {
      handler: methods[method], method: request.method, path, id: found.groups?.id ?? null, query,
      merged: [], clinic: one('x-clinic'), tenant: one('x-tenant-id'), user: one('x-user-id'), roles: one('x-user-roles'),
    };
    fs.appendFileSync(process.env.EXECUTED, JSON.stringify(write) + '\n');
    return true;
  }
  return false;
}

function decoded(path) {
  try {
    return decodeURIComponent(path);
  } catch {
    return path;
  }
}

http.createServer((request, answer) => {
  request.resume();
  request.on('end', () => {
    let done = false;
    try {
      const modern = new URL(request.url, 'http://app.example');
      done = executed(request, decoded(modern.pathname), modern.searchParams.getAll('clinic')) || done;
    } catch {} // no address at all
    const old = legacy.parse(request.url);
    const query = querystring.parse(old.query ?? '').clinic;
    done = executed(request, decoded(old.pathname ?? ''), [].concat(query)) || done;
    answer.writeHead(done ? 200 : 404, { 'content-type': 'text/plain' });
    answer.end('done\n');
  });
}).listen(Number(process.env.PORT), '127.0.0.1');

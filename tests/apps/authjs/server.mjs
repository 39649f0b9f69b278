// An application that signs people in with Auth.js (NextAuth): its own pages below /api/auth/, the session encrypted in a cookie.
// Auth.js is asked as Next.js asks it: with the address that the gate's headers name.
//
// usage: node server.mjs    PORT; MODULES: where Auth.js is; PASSWORD: everybody's; AUTH_SECRET; PADDING: letters in each session
import { createServer } from "node:http";
import { pathToFileURL } from "node:url";

const { Auth } = await import(pathToFileURL(`${process.env.MODULES}/node_modules/@auth/core/index.js`));
const credentials = await import(pathToFileURL(`${process.env.MODULES}/node_modules/@auth/core/providers/credentials.js`));

const config = {
  secret: process.env.AUTH_SECRET,
  basePath: "/api/auth", // as next-auth has it
  trustHost: true,
  session: { strategy: "jwt" },
  providers: [
    credentials.default({
      credentials: { name: {}, password: { type: "password" } },
      authorize: ({ name, password }) => (password === process.env.PASSWORD ? { id: `u-${name}`, name } : null),
    }),
  ],
  callbacks: {
    // Whose session it is, with which roles: Auth.js says neither by itself.
    jwt: ({ token, user }) => (user ? { ...token, roles: ["manager"], padding: "x".repeat(Number(process.env.PADDING ?? 0)) } : token),
    session: ({ session, token }) => ({ ...session, user: { id: token.sub, name: token.name, roles: token.roles } }),
  },
};

const asked = async (incoming) => {
  const body = [];
  for await (const piece of incoming) body.push(piece);
  const scheme = incoming.headers["x-forwarded-proto"] ?? "http";
  const url = `${scheme}://${incoming.headers["x-forwarded-host"] ?? incoming.headers.host}${incoming.url}`;
  const has = !["GET", "HEAD"].includes(incoming.method);
  return new Request(url, { method: incoming.method, headers: incoming.headers, body: has ? Buffer.concat(body) : undefined });
};

createServer(async (incoming, answer) => {
  const request = await asked(incoming);
  const { pathname } = new URL(request.url);
  const said = pathname.startsWith("/api/auth/") ? await Auth(request, config) : Response.json({ page: pathname });
  const headers = Object.fromEntries(said.headers);
  answer.writeHead(said.status, { ...headers, "set-cookie": said.headers.getSetCookie() });
  answer.end(Buffer.from(await said.arrayBuffer()));
}).listen(Number(process.env.PORT), "127.0.0.1");

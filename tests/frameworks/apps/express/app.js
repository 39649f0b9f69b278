// An Express application with what is usual around it: the extended query parser, forms, JSON, method-override.
const fs = require('fs');
const express = require('express');
const bodies = require('body-parser');
const override = require('method-override');

const app = express();
app.set('query parser', 'extended');
app.use(bodies.urlencoded({ extended: true }));
app.use(bodies.json());
for (const name of ['X-HTTP-Method-Override', 'X-HTTP-Method', 'X-Method-Override', '_method']) app.use(override(name));
app.use(override((request) => (request.body && typeof request.body === 'object' ? request.body._method : undefined)));

const route = (path, name, ...methods) => {
  for (const method of methods) {
    app[method](path, (request, answer) => {
      const one = (name) => [request.get(name)];
      const write = {
        handler: name, method: request.method, path: request.path, id: request.params.id ?? null,
        query: [request.query.clinic], merged: [request.body?.clinic], clinic: one('X-Clinic'),
        tenant: one('X-Tenant-Id'), user: one('X-User-Id'), roles: one('X-User-Roles'),
      };
      fs.appendFileSync(process.env.EXECUTED, JSON.stringify(write) + '\n');
      answer.type('text').send('done\n');
    });
  }
};
route('/', 'root', 'get', 'post');
route('/open/*rest', 'open', 'get', 'post');
route('/admin', 'admin', 'get', 'post', 'put', 'delete');
route('/admin/*rest', 'admin', 'get', 'post', 'put', 'delete');
route('/items', 'list', 'get');
route('/items/:id', 'show', 'get');
route('/items/:id', 'update', 'post');
route('/items/:id', 'replace', 'put');
route('/items/:id', 'remove', 'delete');
route('/items/:id/delete', 'delete', 'post', 'delete');
app.listen(Number(process.env.PORT), '127.0.0.1');

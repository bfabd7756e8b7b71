// An authorization server that agrees at once and answers what a test tells it: node mock_oauth.mjs PORT
// POST /told: a JSON list for the next answers of the token endpoint. {status, body, headers} is sent as it is, a
// string as HTML. {body, without} is the real answer with these fields on top, and without those.
import { once } from 'node:events';
import { createServer } from 'node:http';
import { OAuth2Server } from 'oauth2-mock-server';

const port = Number(process.argv[2]);
const mock = new OAuth2Server();
await mock.issuer.keys.generate('RS256');
mock.issuer.url = `http://127.0.0.1:${port}`;

let told = [];
mock.service.on('beforeResponse', (answer) => {
  const next = told.shift();
  if (next) {
    answer.body = { ...answer.body, ...next.body };
    for (const name of next.without ?? []) delete answer.body[name];
  }
});

const read = async (request) => {
  const pieces = [];
  for await (const piece of request) pieces.push(piece);
  return Buffer.concat(pieces).toString();
};

const server = createServer(async (request, response) => {
  const path = request.url.split('?')[0];
  if (path === '/told') {
    told = JSON.parse(await read(request));
    response.end();
  } else if (path === '/device') {
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify({
      device_code: 'device-code-of-the-mock',
      user_code: 'ABCD-EFGH',
      verification_uri: `${mock.issuer.url}/page`,
      expires_in: 600,
    }));
  } else if (path === '/token' && told[0]?.status) {
    const { status, body, headers } = told.shift();
    const html = typeof body === 'string';
    request.resume();
    response.writeHead(status, { 'content-type': html ? 'text/html' : 'application/json', ...headers });
    response.end(html ? body : JSON.stringify(body));
  } else {
    mock.service.requestHandler(request, response);
  }
});
server.listen(port, '127.0.0.1');
await once(server, 'listening');

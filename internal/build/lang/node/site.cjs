// A server of files for sites that a build script has made. It is put into their images
// by kn-lite; usage: node site.cjs FOLDER, PORT in the environment.
'use strict';

const crypto = require('crypto');
const fs = require('fs');
const http = require('http');
const path = require('path');
const zlib = require('zlib');

const types = {
  '.avif': 'image/avif', '.css': 'text/css; charset=utf-8', '.csv': 'text/csv; charset=utf-8', '.gif': 'image/gif', '.htm': 'text/html; charset=utf-8',
  '.html': 'text/html; charset=utf-8', '.ico': 'image/x-icon', '.jpeg': 'image/jpeg', '.jpg': 'image/jpeg', '.js': 'text/javascript; charset=utf-8',
  '.json': 'application/json; charset=utf-8', '.map': 'application/json; charset=utf-8', '.md': 'text/markdown; charset=utf-8',
  '.mjs': 'text/javascript; charset=utf-8', '.mp3': 'audio/mpeg', '.mp4': 'video/mp4', '.ogg': 'audio/ogg', '.otf': 'font/otf', '.pdf': 'application/pdf',
  '.png': 'image/png', '.svg': 'image/svg+xml; charset=utf-8', '.ttf': 'font/ttf', '.txt': 'text/plain; charset=utf-8', '.wasm': 'application/wasm',
  '.webm': 'video/webm', '.webmanifest': 'application/manifest+json; charset=utf-8', '.webp': 'image/webp', '.woff': 'font/woff', '.woff2': 'font/woff2',
  '.xml': 'application/xml; charset=utf-8',
};

// What is compressed is held in memory: only files that may be worth it.
const compressible = /charset|wasm|font\/(otf|ttf)|x-icon/;
const mostCompressed = 4 << 20;

// Tools put a digest of the content into such names, so it never changes.
const immutable = /^\/(assets|_astro)\/.*[-.][\w-]{8,}\.\w+$|^\/_app\/immutable\/|^\/_next\/static\/|\.[0-9a-f]{8,}(\.chunk)?\.\w+(\.map)?$/;

const root = fs.realpathSync(process.argv[2] || '.');

// find lists the files once: what is served is exactly what the image holds.
function find(dir, at, into) {
  for (const entry of fs.readdirSync(dir, { withFileTypes: true })) {
    if (entry.name.startsWith('.') && entry.name !== '.well-known') continue;
    const file = path.join(dir, entry.name);
    const real = fs.realpathSync(file);
    if (real !== root && !real.startsWith(root + path.sep)) continue; // a link out of the site
    const info = fs.statSync(real);
    if (info.isDirectory() && !entry.isSymbolicLink()) find(file, at + entry.name + '/', into);
    if (info.isFile()) into.set(at + entry.name, { file: real, size: info.size, type: types[path.extname(entry.name).toLowerCase()] || 'application/octet-stream' });
  }
  return into;
}
const files = find(root, '/', new Map());

// resolve returns what a path stands for: a file, or where else to look.
function resolve(name) {
  if (name.endsWith('/')) return { found: files.get(name + 'index.html') || files.get(name.slice(0, -1) + '.html') };
  if (files.has(name)) return { found: files.get(name), name };
  if (files.has(name + '.html')) return { found: files.get(name + '.html') };
  if (files.has(name + '/index.html')) return { redirect: name + '/' };
  return {};
}

// tag is a digest of the content: times in an image say nothing.
function tag(f) {
  f.tag = f.tag || new Promise((done, failed) => {
    const sum = crypto.createHash('sha256');
    fs.createReadStream(f.file).on('error', failed).on('data', (part) => sum.update(part)).on('end', () => done(sum.digest('base64url').slice(0, 27)));
  });
  return f.tag;
}

function compressed(f) {
  f.gzip = f.gzip || fs.promises.readFile(f.file).then((raw) => new Promise((done, failed) => {
    zlib.gzip(raw, { level: 9 }, (err, out) => (err ? failed(err) : done(out)));
  }));
  return f.gzip;
}

// range reads one range of bytes; undefined is the whole file, null none that there is.
function range(header, size) {
  const m = /^bytes=(\d*)-(\d*)$/.exec(header || '');
  if (!m || (m[1] === '' && m[2] === '')) return undefined;
  const from = m[1] === '' ? Math.max(0, size - Number(m[2])) : Number(m[1]);
  const to = m[1] === '' || m[2] === '' ? size - 1 : Math.min(size - 1, Number(m[2]));
  return from > to || from >= size ? null : { start: from, end: to };
}

function text(response, status, words, headers) {
  response.writeHead(status, { 'Content-Type': 'text/plain; charset=utf-8', 'X-Content-Type-Options': 'nosniff', ...headers });
  response.end(words + '\n');
}

async function send(request, response, f, status, caching) {
  const gzip = compressible.test(f.type) && f.size > 1024 && f.size <= mostCompressed;
  const accepts = gzip && !request.headers.range && /\bgzip\b(?!\s*;\s*q=0(\.0*)?\s*(,|$))/.test(request.headers['accept-encoding'] || '');
  const etag = '"' + (await tag(f)) + (accepts ? '-gzip' : '') + '"';
  const headers = { 'Content-Type': f.type, 'Cache-Control': caching, ETag: etag, 'X-Content-Type-Options': 'nosniff' };
  if (gzip) headers.Vary = 'Accept-Encoding';
  const known = (request.headers['if-none-match'] || '').split(',').map((one) => one.trim().replace(/^W\//, ''));
  if (status === 200 && (known.includes(etag) || known.includes('*'))) {
    response.writeHead(304, headers);
    response.end();
    return;
  }
  if (accepts) {
    const body = await compressed(f);
    response.writeHead(status, { ...headers, 'Content-Encoding': 'gzip', 'Content-Length': body.length });
    response.end(request.method === 'HEAD' ? undefined : body);
    return;
  }
  const same = !request.headers['if-range'] || request.headers['if-range'] === etag;
  const part = status === 200 && same ? range(request.headers.range, f.size) : undefined;
  if (part === null) {
    text(response, 416, 'no such range', { 'Content-Range': `bytes */${f.size}` });
    return;
  }
  headers['Accept-Ranges'] = 'bytes';
  headers['Content-Length'] = part ? part.end - part.start + 1 : f.size;
  if (part) headers['Content-Range'] = `bytes ${part.start}-${part.end}/${f.size}`;
  response.writeHead(part ? 206 : status, headers);
  if (request.method === 'HEAD' || headers['Content-Length'] === 0) {
    response.end();
    return;
  }
  fs.createReadStream(f.file, part).on('error', () => response.destroy()).pipe(response);
}

async function answer(request, response) {
  if (request.method !== 'GET' && request.method !== 'HEAD') {
    text(response, 405, 'this is a site of files', { Allow: 'GET, HEAD' });
    return;
  }
  const [raw, ...query] = request.url.split('?');
  let name;
  try {
    name = decodeURIComponent(raw);
  } catch {
    text(response, 400, 'the path is not encoded as in URLs');
    return;
  }
  const { found, redirect, name: exact } = resolve(name);
  if (redirect) {
    // Relative to the site whatever the path: //host/ would name another one.
    const location = encodeURI(redirect.replace(/^\/+/, '/')) + (query.length ? '?' + query.join('?') : '');
    text(response, 301, 'it is at ' + location, { Location: location });
  } else if (found) {
    await send(request, response, found, 200, exact && immutable.test(exact) ? 'public, max-age=31536000, immutable' : 'no-cache');
  } else if (files.has('/404.html')) {
    await send(request, response, files.get('/404.html'), 404, 'no-cache');
  } else if (path.extname(name) === '') {
    // Without a page for what is missing, the site finds its way in the browser.
    await send(request, response, files.get('/index.html'), 200, 'no-cache');
  } else {
    text(response, 404, 'there is no such file');
  }
}

const server = http.createServer((request, response) => {
  answer(request, response).catch((err) => {
    console.error(err);
    if (response.headersSent) response.destroy();
    else text(response, 500, 'the file cannot be read');
  });
});
server.listen(process.env.PORT || 8080, () => console.log(`serving ${files.size} files on port ${server.address().port}`));
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => server.close());
